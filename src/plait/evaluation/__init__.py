"""How good vectors are at a task, and how sure one can be of it."""

from plait._lazy import exports

NAMES = {
    "Comparison": "plait.evaluation.statistics",
    "Crf": "plait.evaluation.crf",
    "Embedded": "plait.evaluation.embedded",
    "Evaluator": "plait.evaluation.evaluators",
    "Interval": "plait.evaluation.statistics",
    "Score": "plait.evaluation.scores",
    "SequenceTagger": "plait.evaluation.tagger",
    "as_mteb": "plait.evaluation.mteb",
    "compare": "plait.evaluation.statistics",
    "evaluator": "plait.evaluation.evaluators",
    "interval": "plait.evaluation.statistics",
    "judge": "plait.evaluation.judging",
    "permutation_test": "plait.evaluation.statistics",
    "pool": "plait.evaluation.statistics",
    "spans": "plait.evaluation.bio_tags",
}
__getattr__, __dir__ = exports(__name__, NAMES)
