"""Transforms: vectors to vectors, learned from unlabelled rows; and one change inside the encoder."""

from plait._lazy import exports

STEPS = {
    "LinearMap": "plait.transforms.linear_map",
    "Normalize": "plait.transforms.normalize",
    "Center": "plait.transforms.center",
    "Standardize": "plait.transforms.standardize",
    "Whitening": "plait.transforms.whitening",
    "Pca": "plait.transforms.principal",
    "AllButTheTop": "plait.transforms.principal",
    "ClipOutliers": "plait.transforms.clip_outliers",
    "Truncate": "plait.transforms.truncate",
    "AttentionTemperature": "plait.transforms.attention_temperature",
}
NAMES = STEPS | {
    "Procrustes": "plait.transforms.procrustes",
    "WordClassEmbedding": "plait.transforms.word_class",
}

__getattr__, __dir__ = exports(__name__, NAMES)
