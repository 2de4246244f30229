"""Retrieval: passages, search by meaning and by words, learned sparse vectors, rescoring, hypothetical documents."""

from plait._lazy import exports

NAMES = {
    "Bm25": "plait.retrieval.lexical",
    "CachedGenerator": "plait.retrieval.generation",
    "CrossEncoder": "plait.retrieval.rescoring",
    "Draw": "plait.retrieval.generation",
    "EndpointGenerator": "plait.retrieval.generation",
    "HybridScorer": "plait.retrieval.hybrid",
    "HypotheticalDocuments": "plait.retrieval.hypothetical",
    "Index": "plait.retrieval.index",
    "LateInteraction": "plait.retrieval.rescoring",
    "LexicalPairs": "plait.retrieval.sparse_training",
    "LexicalWeights": "plait.retrieval.sparse",
    "LocalGenerator": "plait.retrieval.generation",
    "MultiOutput": "plait.retrieval.hybrid",
    "Passages": "plait.retrieval.chunking",
    "Ranking": "plait.retrieval.rank_fusion",
    "RecordedGenerator": "plait.retrieval.generation",
    "Settings": "plait.retrieval.settings",
    "SparseIndex": "plait.retrieval.sparse",
    "TokenEncoder": "plait.retrieval.late_interaction",
    "Tuned": "plait.retrieval.rank_fusion",
    "WrittenContext": "plait.retrieval.context",
    "by_document": "plait.retrieval.chunking",
    "fuse": "plait.retrieval.rank_fusion",
    "hypothetical_prompts": "plait.retrieval.hypothetical",
    "max_similarity": "plait.retrieval.late_interaction",
    "represent": "plait.retrieval.hybrid",
    "rescore": "plait.retrieval.rescoring",
    "tune_weights": "plait.retrieval.rank_fusion",
    "words_of": "plait.retrieval.lexical",
}

__getattr__, __dir__ = exports(__name__, NAMES)
