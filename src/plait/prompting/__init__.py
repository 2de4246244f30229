"""Training-free elicitation: templates around a text, and what is done inside a decoder while it reads one."""

from typing import TYPE_CHECKING

from plait._lazy import exports

if TYPE_CHECKING:
    from plait.prompting.prepending import TokenPrepending as TokenPrepending
    from plait.prompting.presets import prompt_set as prompt_set
    from plait.prompting.template import Template as Template

STEPS = {
    "TokenPrepending": "plait.prompting.prepending",
}
NAMES = STEPS | {
    "Template": "plait.prompting.template",
    "prompt_set": "plait.prompting.presets",
}
__getattr__, __dir__ = exports(__name__, NAMES)
