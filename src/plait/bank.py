"""The bank: memory-mapped, content-addressed vectors that survive a kill.

A *shelf* belongs to one encoder and one list of items. It holds one ``.npy`` file for each strand; a file that is still
being written ends in ``.part`` and is renamed once its last batch is in, so that nothing half-written is ever taken for
whole. Beside the parts lies a log with one line for each batch that is in them; a ``.done`` file says that all are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from plait.types import DataError, Floats, Ints

SYNC_SECONDS = 5.0
"""How often written batches are forced to disk: what a power cut can cost. A killed process loses nothing."""


def digest(*parts: str | bytes | memoryview) -> str:
    """A 32-character content key.

    >>> digest("a", "b") != digest("ab")
    True
    """
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        hasher.update(len(data).to_bytes(8, "little"))
        hasher.update(data)
    return hasher.hexdigest()


def content(array: np.ndarray) -> bytes | memoryview:
    """The bytes of an array, for `digest`; not a copy where they lie in one piece."""
    return np.ascontiguousarray(array).view(np.uint8).data.cast("B") if array.size and array.ndim else array.tobytes()


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees either the old content or the whole new one."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


class Shelf:
    """The vectors of one encoder over one list of items.

    Args:
        folder: where the files lie; made when needed.
        rows: how many vectors each file has.
    """

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder, self.rows = folder, rows
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"cannot write the bank at {folder}: {error.strerror}; choose another --out folder"
            ) from error

    def _path(self, strand: str) -> Path:
        return self.folder / f"{digest(strand)}.npy"

    def has(self, strand: str) -> bool:
        """Whether the strand is there, whole."""
        return self._path(strand).exists()

    def get(self, strand: str, rows: int | None = None) -> Floats:
        """``[U, D]`` the strand's vectors, memory-mapped and read-only; ``rows`` is U where it is not the shelf's."""
        try:
            vectors: Floats = np.load(self._path(strand), mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise DataError(f"{self._path(strand)} is damaged ({error}): delete it") from error
        expected = self.rows if rows is None else rows
        if len(vectors) != expected:
            raise DataError(f"{self._path(strand)} holds {len(vectors)} vectors, {expected} were expected: delete it")
        return vectors

    @property
    def encoded(self) -> int:
        """How many items went through the forward passes behind this shelf, all of them together."""
        return sum(json.loads(path.read_text())["encoded"] for path in sorted(self.folder.glob("*.done")))

    def settle(self) -> None:
        """Finish what a kill left between the last batch and the last renaming."""
        for done in self.folder.glob("*.done"):
            log = done.with_suffix(".log")
            if log.exists():
                for name in json.loads(done.read_text())["strands"]:
                    with contextlib.suppress(FileNotFoundError):
                        os.replace(self._part(name), self._path(name))
                log.unlink(missing_ok=True)

    @contextlib.contextmanager
    def writer(self, dims: dict[str, int], plan: str, rows: Mapping[str, int] | None = None) -> Iterator[Writer]:
        """Open a pass that fills several strands at once; they become whole when the block ends without an error.

        Args:
            dims: width of each strand to write.
            plan: key of the batch plan; a log of another plan is not resumed.
            rows: vectors of the strands that have another number of them than the shelf.
        """
        with locked(self.folder / ".lock"):
            key = digest(plan, *sorted(dims))
            writer = Writer(self, dims, self.folder / f"{key}.log", rows)
            try:
                yield writer
            finally:
                writer.sync()
            facts = {"strands": sorted(dims), "encoded": writer.encoded}
            write_atomic(writer.log.with_suffix(".done"), json.dumps(facts).encode())
            self.settle()

    def _part(self, strand: str) -> Path:
        return self._path(strand).with_suffix(".npy.part")


class Writer:
    """Fills the parts of a shelf, batch by batch, and knows which batches a killed run left done.

    Attributes:
        done: batches that are in the parts already.
        encoded: for the one who writes to set, how many items went through the forward pass.
    """

    encoded = 0

    def __init__(self, shelf: Shelf, dims: Mapping[str, int], log: Path, rows: Mapping[str, int] | None = None) -> None:
        self.log = log
        shapes = {strand: ((rows or {}).get(strand, shelf.rows), width) for strand, width in dims.items()}
        self.done: set[int] = self._read_log() if all(shelf._part(s).exists() for s in dims) else set()
        self._parts: dict[str, np.memmap] = {}
        mode = "r+" if self.done else "w+"
        if mode == "w+":
            _reserve(shelf.folder, sum(count * width for count, width in shapes.values()) * 4)
        for strand, shape in shapes.items():
            self._parts[strand] = np.lib.format.open_memmap(shelf._part(strand), mode, np.float32, shape)
        self._log = log.open("a" if self.done else "w")
        self._log.write(json.dumps({"boot": _boot()}) + "\n")
        self._log.flush()
        self._synced = time.monotonic()

    def write(self, strand: str, rows: Ints, values: Floats) -> None:
        """Put ``values`` into the given rows of a strand."""
        self._parts[strand][rows] = values

    def commit(self, batch: int) -> None:
        """Note that every strand has this batch."""
        self._log.write(f"{batch}\n")
        self._log.flush()
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Force everything to disk, then say so in the log."""
        for part in self._parts.values():
            part.flush()
        self._log.write("synced\n")
        self._log.flush()
        os.fsync(self._log.fileno())
        self._synced = time.monotonic()

    def _read_log(self) -> set[int]:
        """Batches to trust: all of them after a kill, those before the last sync after a reboot."""
        if not self.log.exists():
            return set()
        trusted: set[int] = set()
        pending: set[int] = set()
        same_boot = True
        for line in self.log.read_text(errors="replace").splitlines():
            if line.startswith("{"):
                if not same_boot:
                    pending = set()
                same_boot = _parse_boot(line) == _boot()
            elif line == "synced":
                trusted |= pending
            elif line.isascii() and line.isdigit():
                pending.add(int(line))
        return trusted | pending if same_boot else trusted


class Bank:
    """A folder of shelves.

    Args:
        folder: where vectors are kept between runs.

    Example:
        >>> import tempfile
        >>> shelf = Bank(tempfile.mkdtemp()).shelf("encoder", ["a text"], rows=1)
        >>> with shelf.writer({"strand": 2}, plan="") as writer:
        ...     writer.write("strand", np.array([0]), np.ones((1, 2), np.float32))
        >>> shelf.get("strand").tolist()
        [[1.0, 1.0]]
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def shelf(self, encoder: str, items: Sequence[str | tuple[str, ...]], rows: int) -> Shelf:
        """The shelf of an encoder (by fingerprint) over these items."""
        texts = (item if isinstance(item, str) else "\x1f".join(item) for item in items)
        shelf = Shelf(self.folder / digest(encoder, *texts), rows)
        shelf.settle()
        return shelf


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file for as long as the block runs; a second process waits."""
    with path.open("w") as file:
        try:
            import fcntl
        except ImportError:  # Windows has no fcntl; two runs that share a bank there must not overlap
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _reserve(folder: Path, size: int) -> None:
    """Refuse a file that will not fit, before hours of work go into it."""
    import shutil

    free = shutil.disk_usage(folder).free
    if free < size + (64 << 20):
        raise DataError(
            f"the bank needs {size / 1e6:,.0f} MB at {folder} and {free / 1e6:,.0f} MB are free: "
            "free some space, choose another --out folder, or ask for fewer layers and poolings"
        )


def _boot() -> str:
    """What changes when the machine restarts."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _parse_boot(line: str) -> str:
    try:
        return str(json.loads(line)["boot"])
    except (ValueError, KeyError):
        return "damaged"
