"""A trainable sequence tagger on frozen word vectors, on parts that read the words themselves, or on both."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Self, TypeAlias

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from plait.evaluation.crf import Crf
from plait.evaluation.sentence_batches import Corpus, Rows, Sentences
from plait.evaluation.token_parts import TokenPart, TokenReader
from plait.types import DataError

Tagged: TypeAlias = Sequence[Sequence[str]]

STEPS = 16
"""Steps of an epoch at least, where the data has as many examples."""

UNKNOWN = -1
"""Number of a tag that the training data lacks."""


class Network(nn.Module):
    """Word vectors ``[B, T, D]`` to emissions ``[B, T, C]``, and a CRF over them if there is one."""

    def __init__(self, width: int, classes: int, tagger: SequenceTagger, words: Sequence[str]) -> None:
        super().__init__()
        self.reader = TokenReader(tagger.parts, words) if tagger.parts else None
        width += self.reader.width if self.reader else 0
        self.dropout = nn.Dropout(tagger.dropout)
        self.project = nn.Linear(width, tagger.project) if tagger.project else None
        width = tagger.project or width
        inner = tagger.dropout if tagger.layers > 1 else 0.0
        self.rnn = (
            nn.LSTM(width, tagger.hidden, tagger.layers, batch_first=True, bidirectional=True, dropout=inner)
            if tagger.rnn
            else None
        )
        self.output = nn.Linear(2 * tagger.hidden if tagger.rnn else width, classes)
        self.crf = Crf(classes) if tagger.crf else None

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Emissions; those beyond a sentence's length mean nothing."""
        states = self.dropout(values)
        states = states if self.project is None else self.project(states)
        if self.rnn is not None:
            packed = pack_padded_sequence(states, lengths, batch_first=True, enforce_sorted=False)
            states = self.dropout(pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0])
        emissions: Tensor = self.output(states)
        return emissions

    def loss(self, values: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        """Mean loss a word of a padded batch."""
        emissions, mask = self(values, lengths), _mask(lengths)
        if self.crf is not None:
            total: Tensor = self.crf(emissions, tags, mask).sum()
            return total / mask.sum()
        return nn.functional.cross_entropy(emissions[mask], tags[mask])

    def decode(self, values: Tensor, lengths: Tensor) -> list[list[int]]:
        """Tag numbers of each sentence of a padded batch."""
        emissions, mask = self(values, lengths), _mask(lengths)
        if self.crf is not None:
            return self.crf.viterbi(emissions, mask)
        best = emissions.argmax(2).tolist()
        return [tags[:length] for tags, length in zip(best, lengths.tolist(), strict=True)]


class SequenceTagger(BaseEstimator):
    """Trainable word parts, dropout, a bidirectional LSTM, a linear layer and a CRF, as far as wanted; trained by Adam.

    Training stops once neither accuracy nor loss on held-out sentences has got better for ``patience`` epochs, and goes
    back to the epoch of the best accuracy. Inputs are centred and brought to unit variance by one common factor, so
    that weights of concatenated blocks keep their meaning. Padding never changes a result.

    Args:
        rnn: None or "lstm".
        hidden: units of the LSTM in each direction.
        layers: of the LSTM.
        crf: whether transitions between tags are learned too.
        dropout: of inputs and of LSTM outputs.
        epochs: at most.
        lr: Adam's step.
        batch: sentences in one step, fewer on small data; without LSTM and CRF, where words are independent, 16 words
            count as one.
        patience: epochs without gain.
        random_state: seed of initial weights, order, dropout and the held-out tenth.
        parts: read the words themselves and are trained along, such as ``[SubwordLSTM(), CharacterLSTM()]``; their
            vectors follow the frozen ones, if there are any. Sentences must then come as `WordInputs`.
        project: width that a linear layer brings the input vectors to; None leaves them as they are. It makes wide
            concatenations cheaper to read for the LSTM.

    Attributes:
        classes_: tags, sorted.
        epochs_: epochs that were run.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = [rng.normal(size=(5, 8)).astype(np.float32) for _ in range(60)]
        >>> y = [["A" if word[0] > 0 else "B" for word in sentence] for sentence in X]
        >>> tagger = SequenceTagger(epochs=30, lr=0.02).fit(X, y)
        >>> tagger.score(X, y) > 0.9
        True
    """

    def __init__(  # noqa: PLR0913 - one estimator, whose parameters scikit-learn's tools set by name
        self,
        rnn: str | None = None,
        hidden: int = 256,
        layers: int = 1,
        crf: bool = False,
        dropout: float = 0.2,
        epochs: int = 30,
        lr: float = 2e-3,
        batch: int = 32,
        patience: int = 3,
        random_state: int = 0,
        parts: Sequence[TokenPart] = (),
        project: int | None = None,
    ) -> None:
        self.rnn = rnn
        self.hidden = hidden
        self.layers = layers
        self.crf = crf
        self.dropout = dropout
        self.epochs = epochs
        self.lr = lr
        self.batch = batch
        self.patience = patience
        self.random_state = random_state
        self.parts = parts
        self.project = project

    def fit(self, X: Sentences, y: Tagged, dev: tuple[Sentences, Tagged] | None = None) -> Self:
        """Train.

        Args:
            X: ``[n, D]`` word vectors of each sentence, or all of them as ``[W, D]`` with ``[N + 1]`` offsets, or
                `WordInputs`.
            y: tags of each sentence.
            dev: sentences and tags for early stopping; None holds out a tenth of the sentences.

        Raises:
            DataError: if nothing is left to learn from, or words and tags do not match.
        """
        if self.rnn not in (None, "lstm"):
            raise DataError(f"rnn is {self.rnn!r}; expected None or 'lstm'")
        rows = Rows.of(X)
        self.classes_ = sorted({tag for sentence in y for tag in sentence})
        if not self.classes_:
            raise DataError("no tagged words to learn from")
        width = rows.values.shape[1]
        if not width and not self.parts:
            raise DataError("the words have no vectors and the tagger has no parts: give one or the other")
        self.mean_ = rows.values.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.scale_ = (float(rows.values.std(axis=0, dtype=np.float64).mean()) if width else 0.0) or 1.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            self.network_ = Network(width, len(self.classes_), self, rows.words or ())
            corpus = self._corpus(rows, y)
            full = [number for number in range(len(y)) if rows.units[number + 1] > rows.units[number]]
            train, held = (full, None) if dev is not None else self._hold_out(full)
            watched = self._corpus(Rows.of(dev[0]), dev[1]) if dev is not None else corpus
            self._train(corpus, train, watched, held)
        return self

    def predict(self, X: Sentences) -> list[tuple[str, ...]]:
        """Tags of each sentence."""
        if not hasattr(self, "network_"):
            raise DataError("this SequenceTagger is not fitted; call fit first")
        rows = Rows.of(X)
        said = self._decode(self._corpus(rows, None), range(len(rows.units) - 1))
        return [tuple(self.classes_[tag] for tag in tags) for tags in said]

    def score(self, X: Sentences, y: Tagged) -> float:
        """Share of words whose tag is right."""
        pairs = [(a, b) for said, gold in zip(self.predict(X), y, strict=True) for a, b in zip(said, gold, strict=True)]
        return sum(a == b for a, b in pairs) / len(pairs)

    def _train(self, corpus: Corpus, train: list[int], watched: Corpus, held: list[int] | None) -> None:
        network, rng = self.network_, np.random.default_rng(self.random_state)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.lr)
        watch = held if held is not None else list(range(len(watched.units) - 1))
        best, lowest, state, since = (-1.0, 0.0), float("inf"), copy.deepcopy(network.state_dict()), 0
        for epoch in range(1, self.epochs + 1):
            self.epochs_ = epoch
            network.train()
            for batch in self._steps(corpus, train, rng):
                optimizer.zero_grad(set_to_none=True)
                network.loss(*batch).backward()
                optimizer.step()
            accuracy, loss = self._accuracy(watched, watch), self._loss(watched, watch)
            # while a rare tag has yet to be said, accuracy stands still and only the loss tells that training goes on
            since = 0 if accuracy > best[0] or loss < lowest else since + 1
            lowest = min(lowest, loss)
            if (accuracy, -loss) > best:
                best, state = (accuracy, -loss), copy.deepcopy(network.state_dict())
            if since >= self.patience:
                break
        network.load_state_dict(state)
        network.eval()

    def _steps(
        self, corpus: Corpus, train: list[int], rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        if self.rnn or self.crf:
            yield from corpus.batches(rng.permutation(train).tolist(), _size(len(train), self.batch))
            return
        words = np.concatenate([np.arange(corpus.units[n], corpus.units[n + 1]) for n in train])
        for rows in torch.split(torch.from_numpy(rng.permutation(words)), _size(len(words), 16 * self.batch)):
            yield corpus.inputs(rows)[:, None], torch.ones(len(rows), dtype=torch.long), corpus.tags[rows][:, None]

    def _accuracy(self, corpus: Corpus, sentences: Sequence[int]) -> float:
        said = [tag for tags in self._decode(corpus, sentences) for tag in tags]
        gold = [corpus.tags[corpus.units[n] : corpus.units[n + 1]] for n in sentences]
        return float((torch.tensor(said) == torch.cat(gold)).double().mean())

    @torch.no_grad()
    def _loss(self, corpus: Corpus, sentences: Sequence[int]) -> float:
        """Mean loss a word; a tag that was never learned counts as the first one, a constant for early stopping."""
        full = [n for n in sentences if corpus.units[n + 1] > corpus.units[n]]
        total, words = 0.0, 0
        for values, lengths, tags in corpus.batches(full, self.batch):
            size = int(lengths.sum())
            total += float(self.network_.loss(values, lengths, tags.clamp_min(0))) * size
            words += size
        return total / words

    @torch.no_grad()
    def _decode(self, corpus: Corpus, sentences: Sequence[int]) -> list[list[int]]:
        self.network_.eval()
        length = {n: corpus.units[n + 1] - corpus.units[n] for n in sentences}
        order = sorted((n for n in sentences if length[n]), key=lambda n: length[n])  # alike lengths: little padding
        found: dict[int, list[int]] = {}
        decoded = [tags for v, n, _ in corpus.batches(order, self.batch) for tags in self.network_.decode(v, n)]
        found.update(zip(order, decoded, strict=True))
        return [found.get(n, []) for n in sentences]

    def _corpus(self, rows: Rows, y: Tagged | None) -> Corpus:
        numbers = {tag: number for number, tag in enumerate(self.classes_)}
        scaled = torch.from_numpy((rows.values - self.mean_) / np.float32(self.scale_))
        reader = self.network_.reader
        if y is None:
            return Corpus.of(rows, scaled, torch.full((len(scaled),), UNKNOWN), reader)
        lengths = np.diff(rows.units).tolist()
        if lengths != [len(tags) for tags in y]:
            tagged = f"{len(y)} sentences of {sum(map(len, y))} tags"
            raise DataError(f"{len(lengths)} sentences of {sum(lengths)} words do not match {tagged}, one by one")
        tags = [numbers.get(tag, UNKNOWN) for sentence in y for tag in sentence]
        return Corpus.of(rows, scaled, torch.tensor(tags, dtype=torch.long), reader)

    def _hold_out(self, full: list[int]) -> tuple[list[int], list[int]]:
        order = np.random.default_rng(self.random_state).permutation(full).tolist()
        size = len(order) // 10
        return (order[size:], order[:size]) if size else (order, order)


def named(head: str) -> SequenceTagger:
    """The tagger that a head's name stands for: "linear", "lstm", "crf" or "lstm-crf"."""
    return SequenceTagger(rnn="lstm" if "lstm" in head else None, crf="crf" in head)


def _size(examples: int, most: int) -> int:
    """Batch size: smaller for small data, so that an epoch has enough steps to learn something."""
    return max(1, min(most, examples // STEPS))


def _mask(lengths: Tensor) -> Tensor:
    return torch.arange(int(lengths.max())) < lengths[:, None]
