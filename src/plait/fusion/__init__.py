"""Fusing strands into one vector: concatenation and its search, word tables, views, models."""

from plait._lazy import exports

STEPS = {
    "Average": "plait.fusion.average",
    "Concat": "plait.step",
    "ConcatSearch": "plait.fusion.search",
}
NAMES = STEPS | {
    "DistilledConcat": "plait.fusion.seeds",
    "EncoderView": "plait.fusion.views",
    "Funnelling": "plait.fusion.funnelling",
    "GeneralizedCca": "plait.fusion.generalized_cca",
    "ItemResponse": "plait.fusion.forecasting",
    "KNNForecaster": "plait.fusion.forecasting",
    "LabelPosteriors": "plait.fusion.label_posteriors",
    "MeanAccuracy": "plait.fusion.forecasting",
    "MetaEmbedding": "plait.fusion.meta_embedding",
    "ModelEmbedder": "plait.fusion.model_embedder",
    "PosteriorView": "plait.fusion.views",
    "Routing": "plait.fusion.forecasting",
    "SelfPositioning": "plait.fusion.spherical",
    "TaskGeometry": "plait.fusion.task_vectors",
    "TaskVector": "plait.fusion.task_vectors",
    "WordClassView": "plait.fusion.views",
    "WordVectorView": "plait.fusion.views",
    "fisher_information": "plait.fusion.importance",
    "greedy_select": "plait.fusion.strategies",
    "input_products": "plait.fusion.importance",
    "merge": "plait.fusion.merging",
    "routing": "plait.fusion.forecasting",
    "save_importance": "plait.fusion.importance",
    "spherical_factors": "plait.fusion.spherical",
    "task_geometry": "plait.fusion.task_vectors",
    "train_seeds": "plait.fusion.seeds",
    "train_snapshots": "plait.fusion.seeds",
}

__getattr__, __dir__ = exports(__name__, NAMES)
