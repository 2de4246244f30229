"""Files, folders and public data sets as tasks; how they are split; the samples that come with plait."""

from plait._lazy import exports

NAMES = {
    "Fold": "plait.data.splits",
    "Judgements": "plait.data.tasks",
    "Labels": "plait.data.tasks",
    "Pairs": "plait.data.tasks",
    "Protocol": "plait.data.splits",
    "Tags": "plait.data.tasks",
    "Task": "plait.data.tasks",
    "demos": "plait.data.sets",
    "named": "plait.data.sets",
    "read": "plait.data.reading",
    "select": "plait.data.tasks",
    "split": "plait.data.splits",
    "stream_texts": "plait.data.streams",
}
__getattr__, __dir__ = exports(__name__, NAMES)
