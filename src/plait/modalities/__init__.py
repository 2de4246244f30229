"""Other inputs than text: what their encoders give, brought into one shape."""

from typing import TYPE_CHECKING

from plait._lazy import exports

if TYPE_CHECKING:
    from plait.modalities.pre_alignment import pre_align as pre_align
    from plait.modalities.token_grids import ChannelConcat as ChannelConcat
    from plait.modalities.token_grids import Projector as Projector

NAMES = {
    "ChannelConcat": "plait.modalities.token_grids",
    "Projector": "plait.modalities.token_grids",
    "pre_align": "plait.modalities.pre_alignment",
}
__getattr__, __dir__ = exports(__name__, NAMES)
