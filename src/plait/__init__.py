"""plait: find, build and explain the embedding that is best for your own data.

Names are imported when first used: ``import plait`` loads none of the libraries behind them.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

__version__ = "0.1.0"

ROOMS = ("prompting", "encoders", "layers", "pooling", "transforms", "fusion", "compression")
"""Rooms all of whose steps stand at the top: they are what recipes are written with."""

FRAME = {
    "Chain": "plait.step",
    "Step": "plait.step",
    "find": "plait.selection.finding",
    "load": "plait.recipe",
    "parse": "plait.recipe",
    "read": "plait.data.reading",
    "save": "plait.recipe",
}
"""Names of the frame and of the upper floors that stand at the top, and where each comes from."""

if TYPE_CHECKING:
    from plait.compression.binary import Binary as Binary
    from plait.compression.int8 import Int8 as Int8
    from plait.compression.product_quantizer import ProductQuantizer as ProductQuantizer
    from plait.compression.residual_binary import ResidualBinary as ResidualBinary
    from plait.data.reading import read as read
    from plait.encoders.static import StaticTable as StaticTable
    from plait.encoders.transformer import Transformer as Transformer
    from plait.fusion.average import Average as Average
    from plait.fusion.search import ConcatSearch as ConcatSearch
    from plait.layers.attention import LayerAttention as LayerAttention
    from plait.layers.concat import ConcatLayers as ConcatLayers
    from plait.layers.mean import LayerMean as LayerMean
    from plait.layers.router import RouterWeights as RouterWeights
    from plait.layers.scalar_mix import ScalarMix as ScalarMix
    from plait.layers.single import Layer as Layer
    from plait.pooling.attention import AttentionPool as AttentionPool
    from plait.pooling.frequency import SifPool as SifPool
    from plait.pooling.maximum import MaxPool as MaxPool
    from plait.pooling.mean import MeanPool as MeanPool
    from plait.pooling.mean import WeightedMeanPool as WeightedMeanPool
    from plait.pooling.power_mean import PowerMeanPool as PowerMeanPool
    from plait.pooling.set_sums import ExpSetPool as ExpSetPool
    from plait.pooling.set_sums import PowerSetPool as PowerSetPool
    from plait.pooling.single import ClsPool as ClsPool
    from plait.pooling.single import LastPool as LastPool
    from plait.pooling.spans import SpanPool as SpanPool
    from plait.prompting.prepending import TokenPrepending as TokenPrepending
    from plait.recipe import load as load
    from plait.recipe import parse as parse
    from plait.recipe import save as save
    from plait.selection.finding import find as find
    from plait.step import Chain as Chain
    from plait.step import Concat as Concat
    from plait.step import Step as Step
    from plait.transforms.attention_temperature import AttentionTemperature as AttentionTemperature
    from plait.transforms.center import Center as Center
    from plait.transforms.clip_outliers import ClipOutliers as ClipOutliers
    from plait.transforms.linear_map import LinearMap as LinearMap
    from plait.transforms.normalize import Normalize as Normalize
    from plait.transforms.principal import AllButTheTop as AllButTheTop
    from plait.transforms.principal import Pca as Pca
    from plait.transforms.standardize import Standardize as Standardize
    from plait.transforms.truncate import Truncate as Truncate
    from plait.transforms.whitening import Whitening as Whitening


def _names() -> dict[str, str]:
    tables = [import_module(f"{__name__}.{room}").STEPS for room in ROOMS]
    return FRAME | {name: module for table in tables for name, module in table.items()}


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if find_spec(f"{__name__}.{name}"):
        return import_module(f"{__name__}.{name}")
    from plait._lazy import exports

    return exports(__name__, _names())[0](name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_names()})
