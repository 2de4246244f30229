"""Retrieval: documents in passages, search by meaning and by words together, rescoring, hypothetical documents."""

from plait._lazy import exports

NAMES = {
    "Bm25": "plait.retrieval.lexical",
    "CachedGenerator": "plait.retrieval.generation",
    "CrossEncoder": "plait.retrieval.rescoring",
    "Draw": "plait.retrieval.generation",
    "EndpointGenerator": "plait.retrieval.generation",
    "HypotheticalDocuments": "plait.retrieval.hypothetical",
    "Index": "plait.retrieval.index",
    "LateInteraction": "plait.retrieval.rescoring",
    "LocalGenerator": "plait.retrieval.generation",
    "Passages": "plait.retrieval.chunking",
    "Ranking": "plait.retrieval.rank_fusion",
    "RecordedGenerator": "plait.retrieval.generation",
    "Settings": "plait.retrieval.settings",
    "TokenEncoder": "plait.retrieval.late_interaction",
    "Tuned": "plait.retrieval.rank_fusion",
    "by_document": "plait.retrieval.chunking",
    "fuse": "plait.retrieval.rank_fusion",
    "hypothetical_prompts": "plait.retrieval.hypothetical",
    "max_similarity": "plait.retrieval.late_interaction",
    "rescore": "plait.retrieval.rescoring",
    "tune_weights": "plait.retrieval.rank_fusion",
    "words_of": "plait.retrieval.lexical",
}

__getattr__, __dir__ = exports(__name__, NAMES)
