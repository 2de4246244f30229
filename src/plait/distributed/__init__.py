"""Embedding a folder of shards on many processes or many machines: one pure function, one manifest, two engines."""

from plait._lazy import exports

NAMES = {
    "EmbeddedShards": "plait.distributed.embedding",
    "ShardOutcome": "plait.distributed.job",
    "Resources": "plait.distributed.resources",
    "cut": "plait.distributed.shards",
    "embed_shard": "plait.distributed.job",
    "embed_shards": "plait.distributed.embedding",
}

__getattr__, __dir__ = exports(__name__, NAMES)
