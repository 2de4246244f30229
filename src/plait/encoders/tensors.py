"""Reading safetensors files: whole or refused, memory-mapped, as float32."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plait.types import Floats, ModelError

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_LONGEST_HEADER = 100_000_000
_BLOCK_ROWS = 8192


@dataclass(frozen=True)
class Tensor:
    """Where one tensor lies in a file: ``start`` in bytes from the file's beginning."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int


def check_safetensors(path: Path) -> dict[str, Tensor]:
    """What a safetensors file holds, once its header and its size agree.

    Args:
        path: the file.

    Returns:
        Tensor by name.

    Raises:
        ModelError: if the file is cut short or is no safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = int.from_bytes(file.read(8), "little")
        if size < 8 or start > min(size, _LONGEST_HEADER):
            raise ModelError(f"{path} is no safetensors file, or is cut short ({size:,} bytes): fetch it again")
        header = file.read(start)
    try:
        entries = json.loads(header)
        entries.pop("__metadata__", None)
        tensors = {name: _tensor(name, entry, 8 + start) for name, entry in entries.items()}
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0) + 8 + start
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} has a damaged safetensors header: fetch it again") from error
    if end != size:
        raise ModelError(f"{path} has {size:,} bytes, its header promises {end:,}: it is damaged, fetch it again")
    return tensors


def read_array(path: Path, tensor: Tensor) -> np.ndarray:
    """The tensor, memory-mapped; what is written to it stays in memory. bfloat16 comes as float32."""
    if tensor.dtype not in _DTYPES:
        raise ModelError(f"{path}: tensor {tensor.name} has type {tensor.dtype}; expected one of {', '.join(_DTYPES)}")
    array = np.memmap(path, _DTYPES[tensor.dtype], "c", tensor.start, tensor.shape)
    if tensor.dtype == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array


def read_table(path: Path, tensor: Tensor) -> Floats:
    """A table of vectors as float32, memory-mapped where the file is; rows that are not finite become zeros."""
    table = read_array(path, tensor).astype(np.float32, copy=False)
    return without_nan(table, f"{path}: {tensor.name}")


def without_nan(table: Floats, label: str) -> Floats:
    """The table with each row that holds a NaN or an infinity set to zeros.

    Raises:
        ModelError: if no row is finite.
    """
    blocks = range(0, len(table), _BLOCK_ROWS)
    broken = [start + np.flatnonzero(~np.isfinite(table[start : start + _BLOCK_ROWS]).all(axis=1)) for start in blocks]
    rows = np.concatenate([np.zeros(0, np.int64), *broken])
    if len(rows) and len(rows) == len(table):
        raise ModelError(f"{label} has no row of finite numbers in {len(table)}: the file is damaged, fetch it again")
    if len(rows):
        count = f"{len(rows)} of {len(table)} rows"
        warnings.warn(f"{label}: {count} hold NaN or infinity; they count as zeros", stacklevel=2)
        table[rows] = 0
    return table


def _tensor(name: str, entry: dict[str, object], base: int) -> Tensor:
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not isinstance(shape, list) or not isinstance(offsets, list):
        raise TypeError
    itemsize = np.dtype(_DTYPES.get(str(entry["dtype"]), "u1")).itemsize
    if str(entry["dtype"]) in _DTYPES and offsets[1] - offsets[0] != itemsize * int(np.prod(shape, dtype=np.int64)):
        raise ValueError
    return Tensor(name, str(entry["dtype"]), tuple(shape), base + offsets[0])
