"""Loading static tables, whatever they come as: the vectors, the tokenizer that goes with them, the ids left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from plait.bank import digest
from plait.encoders.checksums import sha256
from plait.encoders.tensors import Tensor, check_safetensors, read_array, read_table, without_nan
from plait.encoders.weights import Weights, find_weights
from plait.encoders.word_vectors import word_table
from plait.tokenization.fast import FlatTokenizer
from plait.tokenization.words import WordVocabulary
from plait.types import Floats, ModelError

_MODEL2VEC, _EMBEDDING = "embeddings", "embedding.weight"
_LISTED = 12


@dataclass(frozen=True, eq=False)
class Table:
    """A static table.

    Attributes:
        vectors: ``[V, D]``.
        flat: the tokenizer, which remembers words.
        tokenizer: what it was made from.
        ignored: id of the token that is never pooled; None when all are.
        counts_unknown: whether that token stands for a word of the language rather than for odd characters.
        key: of everything in it.
    """

    vectors: Floats
    flat: FlatTokenizer
    tokenizer: Tokenizer | WordVocabulary
    ignored: int | None
    counts_unknown: bool
    key: str


def load_table(name: str, tensor: str | None = None, lowercase: bool | None = None) -> Table:
    """The table of that name; equal calls share it for as long as its files stay as they are.

    Raises:
        ModelError: if it is not there, is damaged, has no tokenizer, or its vectors cannot be told from other tensors.
        DataError: if a file of word vectors does not keep to its format.
    """
    return _load(name, tensor, lowercase, _stamp(name))


def _stamp(name: str) -> tuple[tuple[str, int, int], ...]:
    """What changes when somebody writes a local table anew."""
    path = Path(name).expanduser()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [(file.name, file.stat()) for file in files if file.is_file()]
    return tuple((file, stat.st_size, stat.st_mtime_ns) for file, stat in stats)


@lru_cache(maxsize=4)
def _load(name: str, tensor: str | None, lowercase: bool | None, stamp: tuple[tuple[str, int, int], ...]) -> Table:
    weights = find_weights(name)
    if weights.folder is None:
        weights = _from_hub(weights)
    file = weights.file
    if file is None:
        raise ModelError(f"{name} holds several weights files; a static table is in one: give that file's path")
    if file.suffix == ".gguf":
        raise ModelError(f"{name} is a GGUF file; expected safetensors or a file of word vectors")
    if file.suffix != ".safetensors":
        return _words(file, lowercase)
    return _tokens(file, weights.tokenizer or _tokenizer_beside(file), tensor)


def _words(file: Path, lowercase: bool | None) -> Table:
    words, vectors = word_table(file)
    vocabulary = WordVocabulary(words, lowercase)
    return Table(vectors, vocabulary.flat(), vocabulary, vocabulary.unknown, True, sha256(file))


def _tokens(file: Path, tokenizer_file: Path, tensor: str | None) -> Table:
    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
    except Exception as error:  # the library raises nothing more specific
        raise ModelError(f"cannot read the tokenizer {tokenizer_file}: {error}") from error
    tensors = check_safetensors(file)
    size = tokenizer.get_vocab_size()
    chosen = _choose(file, tensors, tensor, size)
    vectors = _expanded(file, tensors, chosen) if chosen.name == _MODEL2VEC else read_table(file, chosen)
    top = max(tokenizer.get_vocab().values(), default=-1)
    if top >= len(vectors):
        raise ModelError(f"{file}: {chosen.name} has {len(vectors)} rows, but {tokenizer_file} has ids up to {top}")
    # model2vec leaves unknown tokens out; wordllama and sentence-transformers pool every token.
    ignored = None if chosen.name == _EMBEDDING else _unknown(tokenizer)
    key = digest(sha256(file), sha256(tokenizer_file), chosen.name)
    return Table(vectors, FlatTokenizer.of(tokenizer), tokenizer, ignored, False, key)


def _tokenizer_beside(file: Path) -> Path:
    path = file.parent / "tokenizer.json"
    if not path.exists():
        raise ModelError(f"{file} has no tokenizer beside it: expected {path}")
    return path


def _choose(file: Path, tensors: Mapping[str, Tensor], name: str | None, size: int) -> Tensor:
    """The tensor that holds one vector a token."""
    if name is not None:
        if name not in tensors or len(tensors[name].shape) != 2:
            raise ModelError(f"{file} has no two-dimensional tensor {name!r}; it has {_listed(tensors)}")
        return tensors[name]
    for usual in (_MODEL2VEC, _EMBEDDING):
        if usual in tensors:
            return tensors[usual]
    fitting = {key: tensor for key, tensor in tensors.items() if len(tensor.shape) == 2 and tensor.shape[0] >= size}
    if len(fitting) == 1:
        return next(iter(fitting.values()))
    problem = f"several tensors with {size} rows or more" if fitting else f"no two-dimensional tensor with {size} rows"
    raise ModelError(f"{file} has {problem}; name the table with tensor=: it has {_listed(fitting or tensors)}")


def _listed(tensors: Mapping[str, Tensor]) -> str:
    shown = [f"{tensor.name} {list(tensor.shape)}" for tensor in tensors.values()][:_LISTED]
    more = len(tensors) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _expanded(file: Path, tensors: Mapping[str, Tensor], chosen: Tensor) -> Floats:
    """Vectors by token id, where tokens share rows (``mapping``) and have weights of their own (``weights``)."""
    if "mapping" not in tensors and "weights" not in tensors:
        return read_table(file, chosen)
    vectors = read_array(file, chosen).astype(np.float32, copy=False)
    if "mapping" in tensors:
        mapping = np.asarray(read_array(file, tensors["mapping"]), np.int64)
        if len(mapping) and not 0 <= mapping.min() <= mapping.max() < len(vectors):
            raise ModelError(f"{file}: mapping points outside the {len(vectors)} rows of {chosen.name}")
        vectors = vectors[mapping]
    if "weights" in tensors:
        factors = np.asarray(read_array(file, tensors["weights"]), np.float32)
        if len(factors) != len(vectors):
            raise ModelError(f"{file}: {len(factors)} weights for {len(vectors)} tokens")
        vectors = vectors * factors[:, None]
    return without_nan(np.ascontiguousarray(vectors), f"{file}: {chosen.name}")


def _unknown(tokenizer: Tokenizer) -> int | None:
    """Id of the unknown token."""
    model = json.loads(tokenizer.to_str())["model"]
    if model.get("unk_token") is not None:
        return tokenizer.token_to_id(model["unk_token"])
    number = model.get("unk_id")
    return number if isinstance(number, int) else None


def _from_hub(weights: Weights) -> Weights:
    """A snapshot of the table and its tokenizer, from the hub or its cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = [folder + file for folder in ("", "0_StaticEmbedding/") for file in ("*.json", "*.safetensors")]
    try:
        folder = Path(snapshot_download(weights.name, allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"cannot fetch {weights.name!r} from the Hugging Face hub: {reason}") from error
    return find_weights(str(folder))
