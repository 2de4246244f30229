"""Export: a recipe as files that run without plait, or without torch."""

from plait._lazy import exports

NAMES = {
    "OnnxRecipe": "plait.export.onnx_runtime",
    "to_onnx": "plait.export.onnx_file",
    "to_sentence_transformers": "plait.export.sentence_transformers_folder",
}

__getattr__, __dir__ = exports(__name__, NAMES)
