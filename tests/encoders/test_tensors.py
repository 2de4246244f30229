"""safetensors files: whole, cut, damaged, with NaN."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from plait.encoders.tensors import check_safetensors, read_array, read_table
from plait.types import ModelError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    rng = np.random.default_rng(0)
    save_file(
        {
            "table": rng.normal(size=(5, 3)).astype(np.float32),
            "half": rng.normal(size=(5, 3)).astype(np.float16),
            "bytes": np.arange(-3, 3, dtype=np.int8),
            "numbers": np.arange(7),
            "empty": np.zeros((0, 3), np.float32),
        },
        path,
        {"format": "pt"},
    )
    return path


def test_arrays_are_those_that_safetensors_reads(file: Path) -> None:
    from safetensors.numpy import load_file

    expected = load_file(file)
    tensors = check_safetensors(file)
    assert tensors.keys() == expected.keys()
    for name, array in expected.items():
        if array.size:
            got = read_array(file, tensors[name])
            assert got.dtype == array.dtype
            assert np.array_equal(got, array)


def test_bfloat16_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    table = torch.randn(4, 3, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(0))
    save_torch({"table": table}, tmp_path / "b.safetensors")
    tensor = check_safetensors(tmp_path / "b.safetensors")["table"]
    assert np.array_equal(read_table(tmp_path / "b.safetensors", tensor), table.float().numpy())


def test_a_float32_table_is_mapped_and_never_written_to(file: Path) -> None:
    before = file.read_bytes()
    table = read_table(file, check_safetensors(file)["table"])
    assert isinstance(table, np.memmap)
    table[0] = 7
    table.flush()
    assert file.read_bytes() == before


@given(cut=st.integers(0, 400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_cut_is_noticed(file: Path, cut: int) -> None:
    data = file.read_bytes()
    broken = file.with_name("cut.safetensors")
    broken.write_bytes(data[: min(cut, len(data) - 1)])
    with pytest.raises(ModelError, match="fetch it again"):
        check_safetensors(broken)


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[]",
        b'{"a": 1}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
        b'{"a": {"shape": [2]}}',
    ],
)
def test_a_damaged_header_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(ModelError, match="damaged"):
        check_safetensors(path)


def test_rows_with_nan_become_zeros_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "nan.safetensors"
    table = np.ones((6, 2), np.float32)
    table[1, 0], table[4, 1] = np.nan, np.inf
    save_file({"t": table}, path)
    with pytest.warns(UserWarning, match="2 of 6 rows"):
        read = read_table(path, check_safetensors(path)["t"])
    assert read.tolist() == [[1, 1], [0, 0], [1, 1], [1, 1], [0, 0], [1, 1]]


def test_a_table_of_nan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nan.safetensors"
    save_file({"t": np.full((3, 2), np.nan, np.float32)}, path)
    with warnings.catch_warnings(), pytest.raises(ModelError, match="no row of finite numbers"):
        warnings.simplefilter("error")
        read_table(path, check_safetensors(path)["t"])
