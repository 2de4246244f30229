"""Compression: vectors to few bytes, and exact search among vectors and codes."""

from plait._lazy import exports

STEPS = {
    "Int8": "plait.compression.int8",
    "Binary": "plait.compression.binary",
    "ProductQuantizer": "plait.compression.product_quantizer",
    "ResidualBinary": "plait.compression.residual_binary",
}
NAMES = STEPS | {
    "Lengths": "plait.compression.lengths",
    "QuantizedKVCache": "plait.compression.key_value_cache",
    "capture": "plait.compression.key_value_cache",
    "nearest_vectors": "plait.compression.brute_force",
    "pair_similarity": "plait.compression.search",
    "rescored": "plait.compression.brute_force",
    "search_codes": "plait.compression.search",
}

__getattr__, __dir__ = exports(__name__, NAMES)
