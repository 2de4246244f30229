"""Model folders as streams of tensors: read one at a time, compared, and written one at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from plait.encoders.tensors import Tensor, check_safetensors, read_array
from plait.encoders.weights import find_weights
from plait.types import Floats, ModelError

FLOATING = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_FILE = "model.safetensors"
_NOT_COPIED = (".safetensors", ".bin", ".gguf", ".onnx", ".index.json", ".md")


class Checkpoint:
    """The tensors of a model folder, in one file or several.

    Args:
        where: a folder with safetensors, or the name of weights that a package holds.

    Raises:
        ModelError: if there is none, or a file is damaged.
    """

    def __init__(self, where: str | Path) -> None:
        path = Path(where).expanduser()
        folder = path if path.is_dir() else find_weights(str(where)).folder
        files = [] if folder is None or not folder.is_dir() else sorted(folder.glob("*.safetensors"))
        if folder is None or not files:
            raise ModelError(f"{where} is no folder with safetensors; save the model as one, e.g. with TunedHost.save")
        self.name, self.folder = str(where), folder
        self._place: dict[str, tuple[Path, Tensor]] = {}
        for file in files:
            self._place |= {name: (file, tensor) for name, tensor in check_safetensors(file).items()}

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by name, in the order of the files."""
        return {name: tensor for name, (_, tensor) in self._place.items()}

    @property
    def floating(self) -> list[str]:
        """Names of the tensors that can be merged; counters and masks cannot."""
        return [name for name, tensor in self.tensors.items() if tensor.dtype in FLOATING]

    def read(self, name: str) -> Floats:
        """One tensor as float32.

        Raises:
            ModelError: if it holds NaN or infinity.
        """
        values: Floats = np.asarray(read_array(*self._place[name])).astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            raise ModelError(f"{self.name}: the tensor {name} holds NaN or infinity; the model is damaged")
        return values

    def raw(self, name: str) -> bytes:
        """A tensor's bytes as they stand in the file."""
        file, tensor = self._place[name]
        with file.open("rb") as stream:
            stream.seek(tensor.start)
            return stream.read(_nbytes(file, tensor))


def check_alike(base: Checkpoint, models: Sequence[Checkpoint]) -> None:
    """Refuse models whose tensors are not those of the base, before anything is computed.

    Raises:
        ModelError: with the first tensor that one of them lacks, or that has another shape.
    """
    for model in models:
        for one, other in ((base, model), (model, base)):
            missing = [name for name in one.floating if name not in other.tensors]
            if missing:
                shape = list(one.tensors[missing[0]].shape)
                raise ModelError(
                    f"{other.name} has no tensor {missing[0]}, {one.name} has one of shape {shape} (and "
                    f"{len(missing) - 1} more that it lacks): models of another depth or kind cannot be merged"
                )
        for name in base.floating:
            shapes = [list(one.tensors[name].shape) for one in (base, model)]
            if shapes[0] != shapes[1]:
                raise ModelError(
                    f"the tensor {name} has shape {shapes[0]} in {base.name} and {shapes[1]} in {model.name}: "
                    "models of another width or vocabulary cannot be merged"
                )


def write_like(
    base: Checkpoint, out: str | Path, merged: Callable[[str], Floats], models: Sequence[Checkpoint] = ()
) -> Path:
    """Write a folder like the base's, with other numbers in its floating tensors; one tensor is in memory at a time.

    Args:
        base: gives configuration, tokenizer, types of the tensors, and all tensors that are not floating.
        out: where; an old model of that name is replaced once the new one is whole.
        merged: the new values of a tensor, by its name.
        models: what ``merged`` reads from.

    Raises:
        ModelError: if ``out`` is one of the inputs' folders, or holds something that is no model.
    """
    with _part(Path(out), [base, *models]) as part:
        for file in base.folder.iterdir():
            if file.is_dir() and not any(inner.name.endswith(_NOT_COPIED) for inner in file.iterdir()):
                shutil.copytree(file, part / file.name)
            elif file.is_file() and not file.name.endswith(_NOT_COPIED):
                shutil.copyfile(file, part / file.name)
        with (part / _FILE).open("wb") as stream:
            stream.write(_header(base))
            for name in base.tensors:
                stream.write(_bytes(base, name, merged))
    return Path(out)


@contextmanager
def _part(out: Path, inputs: Sequence[Checkpoint]) -> Iterator[Path]:
    """A folder beside ``out`` that takes its place when all went well, and is removed otherwise."""
    held = out.exists() and (not out.is_dir() or any(out.iterdir()))
    read = any(out.resolve() == checkpoint.folder.resolve() for checkpoint in inputs)
    if held and (read or not (out / "config.json").exists()):
        raise ModelError(f"{out} is one of the models to be merged, or holds no model; choose another folder")
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        shutil.rmtree(out, ignore_errors=True)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _bytes(base: Checkpoint, name: str, merged: Callable[[str], Floats]) -> bytes:
    dtype = base.tensors[name].dtype
    if dtype not in FLOATING:
        return base.raw(name)
    values = np.ascontiguousarray(merged(name), np.float32)
    return (_bfloat16(values) if dtype == "BF16" else values.astype(FLOATING[dtype])).tobytes()


def _bfloat16(values: Floats) -> np.ndarray:
    """The upper half of each number, rounded to the nearest, ties to even."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def _header(base: Checkpoint) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, tensor in base.tensors.items():
        end = start + _nbytes(base._place[name][0], tensor)
        entries[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    written = json.dumps(entries).encode()
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(8, "little") + written


def _nbytes(file: Path, tensor: Tensor) -> int:
    """Bytes of a tensor; tensors lie one after the other, so that one of a rare type ends where the next begins."""
    if tensor.dtype in FLOATING or tensor.dtype in _SIZES:
        size = np.dtype(FLOATING[tensor.dtype]).itemsize if tensor.dtype in FLOATING else _SIZES[tensor.dtype]
        return size * int(np.prod(tensor.shape, dtype=np.int64))
    raise ModelError(f"{file}: the tensor {tensor.name} has type {tensor.dtype}, which cannot be copied")


_SIZES = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}
