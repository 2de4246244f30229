"""From counted words to contextual ones: a representative of each family, built on the same text and measured alike."""

from typing import TYPE_CHECKING

from plait._lazy import exports

if TYPE_CHECKING:
    from plait.words.counts import cooccurrences as cooccurrences
    from plait.words.counts import ppmi as ppmi
    from plait.words.embedders import TextModel as TextModel
    from plait.words.embedders import WordTable as WordTable
    from plait.words.rungs import Rung as Rung
    from plait.words.rungs import ladder as ladder
    from plait.words.tasks import Analogies as Analogies
    from plait.words.tasks import WordPairs as WordPairs
    from plait.words.tasks import compare_rungs as compare_rungs
    from plait.words.vocabulary import Vocabulary as Vocabulary
    from plait.words.weighted_least_squares import glove as glove

NAMES = {
    "Analogies": "plait.words.tasks",
    "Rung": "plait.words.rungs",
    "TextModel": "plait.words.embedders",
    "Vocabulary": "plait.words.vocabulary",
    "WordPairs": "plait.words.tasks",
    "WordTable": "plait.words.embedders",
    "compare_rungs": "plait.words.tasks",
    "cooccurrences": "plait.words.counts",
    "glove": "plait.words.weighted_least_squares",
    "ladder": "plait.words.rungs",
    "ppmi": "plait.words.counts",
}
__getattr__, __dir__ = exports(__name__, NAMES)
