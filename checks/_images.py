"""Pictures of the data folder as arrays."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def digits(data: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The MNIST test digits: ``[10000, 28, 28]`` within 0 to 1, and which digit each is."""
    folder = data / "images" / "mnist_t10k"
    images, labels = (
        np.frombuffer(gzip.decompress((folder / f"t10k-{name}-ubyte.gz").read_bytes()), np.uint8, offset=offset)
        for name, offset in (("images-idx3", 16), ("labels-idx1", 8))
    )
    return (images.reshape(-1, 28, 28) / 255).astype(np.float32), labels.astype(np.int64)
