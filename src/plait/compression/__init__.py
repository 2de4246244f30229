"""Compression: vectors to few bytes, and search that works on them.

Exact search over codes is in `plait.compression.search`.
"""

from plait._lazy import exports

STEPS = {
    "Int8": "plait.compression.int8",
    "Binary": "plait.compression.binary",
    "ProductQuantizer": "plait.compression.product_quantizer",
    "ResidualBinary": "plait.compression.residual_binary",
}
NAMES = STEPS

__getattr__, __dir__ = exports(__name__, NAMES)
