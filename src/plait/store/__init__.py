"""Keeping vectors: files of vectors that name their recipe, the table on LanceDB, search in both."""

from plait._lazy import exports

NAMES = {
    "Hit": "plait.store.ranking",
    "Record": "plait.store.table",
    "Table": "plait.store.table",
    "VectorFile": "plait.store.vector_file",
    "embed": "plait.store.embedding",
}

__getattr__, __dir__ = exports(__name__, NAMES)
