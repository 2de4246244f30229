"""Text to units: token ids in flat arrays, quickly."""

from plait._lazy import exports

NAMES = {
    "FlatTokenizer": "plait.tokenization.fast",
    "flat_ids": "plait.tokenization.fast",
    "WordVocabulary": "plait.tokenization.words",
}
__getattr__, __dir__ = exports(__name__, NAMES)
