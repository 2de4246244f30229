"""Diagnostics of representations: where vectors point, what dimensions, length, position and depth do to them."""

from typing import TYPE_CHECKING

from plait._lazy import exports

if TYPE_CHECKING:
    from plait.analysis.augmentation import augment as augment
    from plait.analysis.augmentation import keyboard_typos as keyboard_typos
    from plait.analysis.augmentation import split_words as split_words
    from plait.analysis.augmentation import substitute_characters as substitute_characters
    from plait.analysis.channels import ChannelEntropy as ChannelEntropy
    from plait.analysis.channels import channel_entropy as channel_entropy
    from plait.analysis.depth import DepthProfile as DepthProfile
    from plait.analysis.depth import Stages as Stages
    from plait.analysis.depth import depth_profile as depth_profile
    from plait.analysis.depth import local_attention as local_attention
    from plait.analysis.depth import stages as stages
    from plait.analysis.entropy import matrix_entropy as matrix_entropy
    from plait.analysis.entropy import prompt_entropy as prompt_entropy
    from plait.analysis.geometry import OutlierDimensions as OutlierDimensions
    from plait.analysis.geometry import anisotropy as anisotropy
    from plait.analysis.geometry import outlier_dimensions as outlier_dimensions
    from plait.analysis.inspection import Inspection as Inspection
    from plait.analysis.inspection import inspect_layers as inspect_layers
    from plait.analysis.invariance import dime as dime
    from plait.analysis.invariance import infonce as infonce
    from plait.analysis.invariance import lidar as lidar
    from plait.analysis.layer_choice import LayerChoice as LayerChoice
    from plait.analysis.layer_choice import choose_layer as choose_layer
    from plait.analysis.layer_choice import select_layer as select_layer
    from plait.analysis.layer_choice import view_vectors as view_vectors
    from plait.analysis.length import LengthProfile as LengthProfile
    from plait.analysis.length import length_profile as length_profile
    from plait.analysis.length import low_pass_rate as low_pass_rate
    from plait.analysis.neurons import NeuronCounts as NeuronCounts
    from plait.analysis.neurons import neuron_counts as neuron_counts
    from plait.analysis.position import PositionProbe as PositionProbe
    from plait.analysis.position import position_probe as position_probe
    from plait.analysis.position_context import PositionContext as PositionContext
    from plait.analysis.position_context import PositionContextSums as PositionContextSums
    from plait.analysis.position_context import decompose_position_context as decompose_position_context
    from plait.analysis.position_context import effects_by_layer as effects_by_layer
    from plait.analysis.result import Diagnosis as Diagnosis
    from plait.analysis.rewiring import LayerIntervention as LayerIntervention
    from plait.analysis.rewiring import layer_intervention as layer_intervention
    from plait.analysis.token_states import LayerProfile as LayerProfile
    from plait.analysis.token_states import layer_profile as layer_profile
    from plait.analysis.trajectory import curvature as curvature

NAMES = {
    "ChannelEntropy": "plait.analysis.channels",
    "DepthProfile": "plait.analysis.depth",
    "Diagnosis": "plait.analysis.result",
    "Inspection": "plait.analysis.inspection",
    "LayerChoice": "plait.analysis.layer_choice",
    "LayerIntervention": "plait.analysis.rewiring",
    "LayerProfile": "plait.analysis.token_states",
    "LengthProfile": "plait.analysis.length",
    "NeuronCounts": "plait.analysis.neurons",
    "OutlierDimensions": "plait.analysis.geometry",
    "PositionContext": "plait.analysis.position_context",
    "PositionContextSums": "plait.analysis.position_context",
    "PositionProbe": "plait.analysis.position",
    "Stages": "plait.analysis.depth",
    "anisotropy": "plait.analysis.geometry",
    "augment": "plait.analysis.augmentation",
    "channel_entropy": "plait.analysis.channels",
    "choose_layer": "plait.analysis.layer_choice",
    "curvature": "plait.analysis.trajectory",
    "decompose_position_context": "plait.analysis.position_context",
    "depth_profile": "plait.analysis.depth",
    "dime": "plait.analysis.invariance",
    "effects_by_layer": "plait.analysis.position_context",
    "infonce": "plait.analysis.invariance",
    "inspect_layers": "plait.analysis.inspection",
    "keyboard_typos": "plait.analysis.augmentation",
    "layer_intervention": "plait.analysis.rewiring",
    "layer_profile": "plait.analysis.token_states",
    "length_profile": "plait.analysis.length",
    "lidar": "plait.analysis.invariance",
    "local_attention": "plait.analysis.depth",
    "low_pass_rate": "plait.analysis.length",
    "matrix_entropy": "plait.analysis.entropy",
    "neuron_counts": "plait.analysis.neurons",
    "outlier_dimensions": "plait.analysis.geometry",
    "position_probe": "plait.analysis.position",
    "prompt_entropy": "plait.analysis.entropy",
    "select_layer": "plait.analysis.layer_choice",
    "split_words": "plait.analysis.augmentation",
    "stages": "plait.analysis.depth",
    "substitute_characters": "plait.analysis.augmentation",
    "view_vectors": "plait.analysis.layer_choice",
}
__getattr__, __dir__ = exports(__name__, NAMES)
