"""Who writes texts: a local decoder, an endpoint, or a file of what was written before."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from plait.bank import digest, write_atomic
from plait.types import DataError, ModelError

TOGETHER = 16
"""Prompts that are handed on, and kept, at once."""


@dataclass(frozen=True)
class Draw:
    """How texts are drawn.

    Args:
        count: texts for each prompt.
        temperature: 0 takes the likeliest token each time; 0.7 is the published choice for hypothetical documents.
        max_tokens: of a text.
        seed: of the draws.
    """

    count: int = 8
    temperature: float = 0.7
    max_tokens: int = 128
    seed: int = 0


class Generator(Protocol):
    """Writes texts for prompts."""

    @property
    def name(self) -> str:
        """What tells it from others."""

    def generate(self, prompts: Sequence[str], draw: Draw) -> list[list[str]]:
        """``draw.count`` texts for each prompt."""


@dataclass(frozen=True)
class LocalGenerator:
    """A decoder on this machine.

    Args:
        model: as `Transformer` takes it; one whose output matrix is its token table, such as gemma-3-270m.
        dtype: of the arithmetic; "auto" takes bfloat16 where the processor has it.
        stop: a text ends before the first of these: a blank line, by default.

    Raises:
        ModelError: if the model is not there, or no such decoder.
    """

    model: str
    dtype: str = "auto"
    stop: tuple[str, ...] = ("\n\n",)

    @property
    def name(self) -> str:
        return f"{self.model} {self.dtype} {self.stop}"

    def generate(self, prompts: Sequence[str], draw: Draw) -> list[list[str]]:
        from plait.encoders.hosts import host
        from plait.encoders.sampling import sample

        return sample(
            host(self.model, self.dtype), prompts, draw.count, draw.temperature, draw.max_tokens, draw.seed, self.stop
        )


@dataclass(frozen=True)
class EndpointGenerator:
    """A chat model behind an interface like OpenAI's.

    Args:
        url: up to and with "/v1".
        model: its name there.
        key: environment variable that holds the key; unset is no key.
        timeout: seconds for one prompt.

    Raises:
        ModelError: if it does not answer, or answers with something else.
    """

    url: str
    model: str
    key: str = "OPENAI_API_KEY"
    timeout: float = 120.0

    @property
    def name(self) -> str:
        return f"{self.url} {self.model}"

    def generate(self, prompts: Sequence[str], draw: Draw) -> list[list[str]]:
        return [self._one(prompt, draw) for prompt in prompts]

    def _one(self, prompt: str, draw: Draw) -> list[str]:
        if not self.url.startswith(("http://", "https://")):
            raise ModelError(f"{self.url!r} is no address of an endpoint; expected e.g. http://localhost:8000/v1")
        asked = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "n": draw.count,
            "temperature": draw.temperature,
            "max_tokens": draw.max_tokens,
            "seed": draw.seed,
        }
        key = os.environ.get(self.key)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/chat/completions", json.dumps(asked).encode(), headers
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                return [str(choice["message"]["content"]).strip() for choice in json.load(answer)["choices"]]
        except (urllib.error.URLError, TimeoutError) as error:
            raise ModelError(f"{self.url} does not answer for {self.model}: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{self.url} answers with something else than choices of messages: {error}") from error


@dataclass(frozen=True)
class RecordedGenerator:
    """Texts that were written before.

    Args:
        texts: by prompt.

    Raises:
        DataError: for a prompt that it does not know, or for which it has too few texts.

    Example:
        >>> RecordedGenerator({"Who?": ["Nobody.", "She."]}).generate(["Who?"], Draw(count=1))
        [['Nobody.']]
    """

    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    name: str = "recorded"

    def generate(self, prompts: Sequence[str], draw: Draw) -> list[list[str]]:
        out = []
        for prompt in prompts:
            known = self.texts.get(prompt, ())
            if len(known) < draw.count:
                raise DataError(
                    f"{len(known)} texts are recorded for the prompt {prompt[:60]!r}; asked for {draw.count}"
                )
            out.append(list(known[: draw.count]))
        return out


@dataclass(frozen=True)
class CachedGenerator:
    """Another generator, whose texts are kept in a folder and found again.

    Args:
        inner: who writes what is not there.
        folder: one file for each prompt and way of drawing.
    """

    inner: Generator
    folder: Path

    @property
    def name(self) -> str:
        return self.inner.name

    def generate(self, prompts: Sequence[str], draw: Draw) -> list[list[str]]:
        paths = {prompt: Path(self.folder) / f"{digest(self.name, prompt, repr(draw))}.json" for prompt in prompts}
        missing = [prompt for prompt, path in paths.items() if not path.exists()]
        for start in range(0, len(missing), TOGETHER):  # what a kill leaves is found again
            some = missing[start : start + TOGETHER]
            written = self.inner.generate(some, draw)
            Path(self.folder).mkdir(parents=True, exist_ok=True)
            for prompt, texts in zip(some, written, strict=True):
                write_atomic(paths[prompt], json.dumps(texts, ensure_ascii=False).encode())
        return [[str(text) for text in json.loads(paths[p].read_text(encoding="utf-8"))] for p in prompts]
