"""Files, folders and public data sets as tasks; how they are split; the samples that come with plait."""

from typing import TYPE_CHECKING

from plait._lazy import exports

if TYPE_CHECKING:
    from plait.data.reading import read as read
    from plait.data.sampling import sample_task as sample_task
    from plait.data.sampling import with_documents as with_documents
    from plait.data.sets import demos as demos
    from plait.data.sets import named as named
    from plait.data.splits import Fold as Fold
    from plait.data.splits import Protocol as Protocol
    from plait.data.splits import split as split
    from plait.data.streams import TextRow as TextRow
    from plait.data.streams import stream_rows as stream_rows
    from plait.data.streams import stream_texts as stream_texts
    from plait.data.tasks import Judgements as Judgements
    from plait.data.tasks import Labels as Labels
    from plait.data.tasks import Pairs as Pairs
    from plait.data.tasks import Tags as Tags
    from plait.data.tasks import Task as Task
    from plait.data.tasks import select as select

NAMES = {
    "Fold": "plait.data.splits",
    "Judgements": "plait.data.tasks",
    "Labels": "plait.data.tasks",
    "Pairs": "plait.data.tasks",
    "Protocol": "plait.data.splits",
    "Tags": "plait.data.tasks",
    "Task": "plait.data.tasks",
    "TextRow": "plait.data.streams",
    "demos": "plait.data.sets",
    "named": "plait.data.sets",
    "read": "plait.data.reading",
    "sample_task": "plait.data.sampling",
    "select": "plait.data.tasks",
    "split": "plait.data.splits",
    "stream_rows": "plait.data.streams",
    "stream_texts": "plait.data.streams",
    "with_documents": "plait.data.sampling",
}
__getattr__, __dir__ = exports(__name__, NAMES)
