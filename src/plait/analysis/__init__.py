"""Diagnostics of representations: which way vectors point, what single dimensions hold, what length and position do."""

from typing import TYPE_CHECKING

from plait._lazy import exports

if TYPE_CHECKING:
    from plait.analysis.geometry import OutlierDimensions as OutlierDimensions
    from plait.analysis.geometry import anisotropy as anisotropy
    from plait.analysis.geometry import outlier_dimensions as outlier_dimensions
    from plait.analysis.length import LengthProfile as LengthProfile
    from plait.analysis.length import length_profile as length_profile
    from plait.analysis.length import low_pass_rate as low_pass_rate
    from plait.analysis.position import PositionProbe as PositionProbe
    from plait.analysis.position import position_probe as position_probe
    from plait.analysis.result import Diagnosis as Diagnosis

NAMES = {
    "Diagnosis": "plait.analysis.result",
    "LengthProfile": "plait.analysis.length",
    "OutlierDimensions": "plait.analysis.geometry",
    "PositionProbe": "plait.analysis.position",
    "anisotropy": "plait.analysis.geometry",
    "length_profile": "plait.analysis.length",
    "low_pass_rate": "plait.analysis.length",
    "outlier_dimensions": "plait.analysis.geometry",
    "position_probe": "plait.analysis.position",
}
__getattr__, __dir__ = exports(__name__, NAMES)
