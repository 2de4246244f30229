"""What learns from examples: losses on tensors, batches of examples, and the one loop of all training."""

from typing import TYPE_CHECKING

from plait._lazy import exports

if TYPE_CHECKING:
    from plait.training.bias_tuning import Selected as Selected
    from plait.training.bias_tuning import bitfit as bitfit
    from plait.training.contrast import InfoNCE as InfoNCE
    from plait.training.examples import Triples as Triples
    from plait.training.examples import triples as triples
    from plait.training.loop import History as History
    from plait.training.loop import Schedule as Schedule
    from plait.training.loop import train as train
    from plait.training.low_rank import fold_lora as fold_lora
    from plait.training.low_rank import lora as lora
    from plait.training.pruning import GradualPruning as GradualPruning
    from plait.training.word_prediction import DefinitionLoss as DefinitionLoss

NAMES = {
    "DefinitionLoss": "plait.training.word_prediction",
    "GradualPruning": "plait.training.pruning",
    "History": "plait.training.loop",
    "InfoNCE": "plait.training.contrast",
    "Schedule": "plait.training.loop",
    "Selected": "plait.training.bias_tuning",
    "Triples": "plait.training.examples",
    "bitfit": "plait.training.bias_tuning",
    "fold_lora": "plait.training.low_rank",
    "lora": "plait.training.low_rank",
    "train": "plait.training.loop",
    "triples": "plait.training.examples",
}
__getattr__, __dir__ = exports(__name__, NAMES)
