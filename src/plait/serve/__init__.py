"""The HTTP service: embeddings as OpenAI's interface has them, search, figures for Prometheus, a page to look at."""

from plait._lazy import exports

NAMES = {
    "Keys": "plait.serve.keys",
    "Limits": "plait.serve.limits",
    "Searchable": "plait.serve.searching",
    "TableIndex": "plait.serve.searching",
    "create_app": "plait.serve.app",
    "run": "plait.serve.running",
}

__getattr__, __dir__ = exports(__name__, NAMES)
