"""Parts that read words: against LSTMs run by hand, and inside the tagger."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from torch import nn

from plait.evaluation import CharacterLSTM, SequenceTagger, ShapeEmbedding, SubwordLSTM, WordInputs
from plait.evaluation.token_parts import PieceReader, TokenPart, shape, train_pieces
from plait.types import DataError

WORDS = ["lower", "lowest", "newer", "newest", "wide", "widest", "low", "new"]
SMALL = {"dim": 6, "hidden": 5}
PARTS = [CharacterLSTM(**SMALL), SubwordLSTM(20, **SMALL), ShapeEmbedding(6)]


def read(reader: PieceReader, words: list[str]) -> torch.Tensor:
    ids = [reader.ids(word) for word in words]
    lengths = torch.tensor([len(row) for row in ids])
    with torch.no_grad():
        vectors: torch.Tensor = reader(nn.utils.rnn.pad_sequence(ids, batch_first=True), lengths)
    return vectors


def one_direction(rnn: nn.LSTM, suffix: str) -> nn.LSTM:
    """One direction of a bidirectional layer, as an LSTM of its own."""
    single = nn.LSTM(rnn.input_size, rnn.hidden_size, batch_first=True)
    names = [name for name, _ in single.named_parameters()]
    single.load_state_dict({name: dict(rnn.named_parameters())[name + suffix] for name in names})
    return single


@pytest.mark.parametrize("state", ["final", "last"])
def test_a_word_is_what_two_lstms_make_of_its_characters(state: str) -> None:
    reader = CharacterLSTM(**SMALL, layers=1, state=state).build(WORDS)  # type: ignore[arg-type]
    assert reader.rnn is not None
    forward, backward = one_direction(reader.rnn, ""), one_direction(reader.rnn, "_reverse")
    for word, found in zip(WORDS, read(reader, WORDS), strict=True):
        letters = reader.table(torch.tensor([reader.known[letter] for letter in word]))[None]
        with torch.no_grad():
            ahead = forward(letters)[0][0, -1]
            seen = letters.flip(1) if state == "final" else letters[:, -1:]
            expected = torch.cat([ahead, backward(seen)[0][0, -1]])
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_padding_and_company_change_nothing(part: TokenPart) -> None:
    reader = part.build(WORDS)
    together = read(reader, ["low", "newestlowestwidest", "Ω", ""])
    assert together.shape == (4, reader.width)
    for number, word in enumerate(["low", "newestlowestwidest", "Ω", ""]):
        torch.testing.assert_close(together[number], read(reader, [word])[0], atol=1e-6, rtol=1e-5)


def test_pieces_are_those_of_the_tokenizer_and_begin_where_they_were_told() -> None:
    tokenizer = train_pieces(WORDS, 24)
    vectors = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 6)).astype(np.float32)
    reader = SubwordLSTM(**SMALL, layers=1, tokenizer=tokenizer, vectors=vectors).build(["other", "words"])
    for word in WORDS:
        encoding = tokenizer.encode(word)
        assert "".join(reader.split(word)) == word
        assert len(reader.split(word)) == len(encoding.ids)
        np.testing.assert_array_equal(reader.table(reader.ids(word)).detach().numpy(), vectors[encoding.ids])


def test_few_pieces_split_more_than_many() -> None:
    few, many = (SubwordLSTM(size, **SMALL).build(WORDS) for size in (12, 60))
    assert [len(few.split(word)) for word in WORDS] > [len(many.split(word)) for word in WORDS]
    assert len(few.known) == 12


@given(st.text(max_size=12))
def test_a_shape_has_no_two_equal_signs_in_a_row(word: str) -> None:
    found = shape(word)
    assert set(found) <= set("Xx9-")
    assert len(found) <= len(word)
    assert all(a != b for a, b in pairwise(found))
    assert (found == "") == (word == "")


@pytest.mark.parametrize(
    ("word", "expected"), [("McDonald's", "XxXx-x"), ("1,000.5", "9-9-9"), ("ΣΊΣΥΦΟΣ", "X"), ("தமிழ்", "x"), ("３", "9")]
)
def test_shapes(word: str, expected: str) -> None:
    assert shape(word) == expected


@settings(deadline=None, max_examples=25)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=5))
def test_any_word_gets_a_finite_vector(words: list[str]) -> None:
    for part in PARTS:
        assert bool(torch.isfinite(read(part.build(WORDS), words)).all())


def tagged(seed: int, number: int = 60) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Words whose ending says the tag; no word of one seed comes with another."""
    rng = np.random.default_rng(seed)
    endings = {"ing": "VERB", "ly": "ADV", "s": "NOUN"}
    sentences = []
    for _ in range(number):
        kinds = rng.choice(list(endings), rng.integers(1, 6))
        sentences.append([("".join(rng.choice(list("abcdefgh"), rng.integers(3, 7))) + k, endings[k]) for k in kinds])
    return [tuple(w for w, _ in s) for s in sentences], [tuple(t for _, t in s) for s in sentences]


def tagger(**options: object) -> SequenceTagger:
    return SequenceTagger(**({"epochs": 12, "lr": 0.02, "dropout": 0.0} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{}, {"rnn": "lstm", "hidden": 8}, {"crf": True, "project": 7}])
def test_endings_tell_the_tags_of_words_never_seen(options: dict[str, object]) -> None:
    (words, tags), (others, gold) = tagged(0), tagged(1)
    model = tagger(parts=[CharacterLSTM(8, 8, 1)], **options).fit(WordInputs(words), tags)
    assert model.score(WordInputs(others), gold) > 0.9
    together = model.predict(WordInputs(others))
    assert together == [model.predict(WordInputs([sentence]))[0] for sentence in others]


def test_parts_stand_beside_frozen_vectors() -> None:
    words, tags = tagged(0)
    count = sum(map(len, words))
    helpful = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    helpful[:, 0] = [8 * (tag == "VERB") for sentence in tags for tag in sentence]
    model = tagger(parts=[ShapeEmbedding(4)]).fit(WordInputs(words, helpful), tags)
    assert model.network_.output.in_features == 3 + 4
    blind = tagger(parts=[ShapeEmbedding(4)]).fit(WordInputs(words), tags)
    assert model.score(WordInputs(words, helpful), tags) > blind.score(WordInputs(words), tags) + 0.2


def test_vectors_in_word_inputs_are_read_as_vectors_are() -> None:
    words, tags = tagged(0)
    rows = np.random.default_rng(0).normal(size=(sum(map(len, words)), 4)).astype(np.float32)
    bounds = np.cumsum([0, *map(len, words)])
    one, other = tagger(epochs=2).fit(WordInputs(words, rows), tags), tagger(epochs=2).fit((rows, bounds), tags)
    assert one.predict((rows, bounds)) == other.predict(WordInputs(words, rows))


def test_a_seed_repeats_the_training_and_parts_are_cloned() -> None:
    words, tags = tagged(0)
    model = tagger(parts=[CharacterLSTM(4, 4, 1), SubwordLSTM(30, 4, 4, 1)], epochs=2)
    first, second = (clone(model).fit(WordInputs(words), tags).network_ for _ in range(2))
    other = clone(model).set_params(random_state=1).fit(WordInputs(words), tags).network_
    assert all(a.equal(b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True))
    assert not first.output.weight.equal(other.output.weight)


def test_what_does_not_fit_is_refused() -> None:
    words, tags = tagged(0, 4)
    rows = np.zeros((sum(map(len, words)), 2), np.float32)
    with pytest.raises(DataError, match="give WordInputs"):
        tagger(parts=[CharacterLSTM(4, 4, 1)]).fit((rows, np.cumsum([0, *map(len, words)])), tags)
    with pytest.raises(DataError, match="no vectors and the tagger has no parts"):
        tagger().fit(WordInputs(words), tags)
    with pytest.raises(DataError, match="expected one row a word"):
        WordInputs(words, rows[1:])
    with pytest.raises(DataError, match="no sentences"):
        tagger(parts=PARTS).fit(WordInputs([]), [])
    with pytest.raises(DataError, match="state is 'first'"):
        CharacterLSTM(state="first").build(WORDS)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="beside no tokenizer"):
        SubwordLSTM(dim=2, vectors=np.zeros((3, 2), np.float32)).build(WORDS)
