"""Keeping vectors: files of vectors that name their recipe, the table on LanceDB, search in both."""

from plait._lazy import exports

NAMES = {
    "Hit": "plait.store.ranking",
    "Record": "plait.store.records",
    "Table": "plait.store.table",
    "VectorFile": "plait.store.vector_file",
    "Version": "plait.store.lance",
    "dump": "plait.store.other_formats",
    "embed": "plait.store.embedding",
    "parse_where": "plait.store.where",
}

__getattr__, __dir__ = exports(__name__, NAMES)
