"""Learned sparse vectors beside their formula, worked out with the host's own library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array

from plait import Layer, MeanPool, StaticTable, Transformer
from plait.retrieval import LexicalPairs, LexicalWeights, SparseIndex, TokenEncoder
from plait.retrieval.rank_fusion import NOTHING
from plait.retrieval.sparse_training import largest_of
from plait.types import DataError, RecipeError
from tests.tiny import SENTENCES

QUERIES = ["rain in the north", "cats as pets", "an enzyme", "my card is lost", "fox and dog", "tokens of a text"]
ANSWERS = [SENTENCES[n] for n in (5, 2, 3, 4, 0, 1)]


@pytest.fixture(scope="module")
def lexical(tiny_bert: Path) -> LexicalWeights:
    return LexicalWeights(Transformer(str(tiny_bert)), epochs=3, batch_size=2).fit(QUERIES, ANSWERS)


def by_hand(folder: Path, text: str, lexical: LexicalWeights) -> dict[int, float]:
    """Weight by id, with the library that the host comes from."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder)
    given = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        states = model(**given).last_hidden_state[0].numpy()
    found: dict[int, float] = {}
    for number, state in zip(given["input_ids"][0].tolist(), states, strict=True):
        weight = max(0.0, float(state @ lexical.weight_) + lexical.bias_)
        if number not in tokenizer.all_special_ids and weight > 0:
            found[number] = max(weight, found.get(number, 0.0))
    return found


@pytest.mark.parametrize("text", [*SENTENCES, "the dog, the dog and the fox", "[SEP] dog 犬 [MASK]"])
def test_a_text_has_the_largest_weight_of_each_of_its_ids(tiny_bert: Path, lexical: LexicalWeights, text: str) -> None:
    row = lexical.transform([text])
    found = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
    assert found == pytest.approx(by_hand(tiny_bert, text, lexical), abs=1e-4)


def test_what_else_stands_in_a_batch_changes_nothing(lexical: LexicalWeights) -> None:
    together = lexical.transform(SENTENCES).toarray()
    for order in (np.arange(len(SENTENCES))[::-1], np.array([4, 0])):
        again = lexical.transform([SENTENCES[n] for n in order.tolist()]).toarray()
        np.testing.assert_allclose(again, together[order], atol=1e-5)
    assert lexical.transform([]).shape == (0, together.shape[1])


def test_a_prompt_weighs_nothing(tiny_bert: Path, lexical: LexicalWeights) -> None:
    prompted = LexicalWeights(Transformer(str(tiny_bert), prompts={"query": "rain: "}))
    prompted.weight_, prompted.bias_ = np.zeros_like(lexical.weight_), 1.0
    asked, told = (set(prompted.transform(["the dog"], role).indices.tolist()) for role in ("query", "document"))
    assert asked == told
    assert len(asked) >= 2


def test_a_word_weighs_by_what_stands_around_it(lexical: LexicalWeights) -> None:
    vectors = lexical.transform(["the dog", "the dog in the rain", "how long does a dog bark"]).toarray()
    everywhere = (vectors > 0).all(axis=0)
    assert everywhere.any()
    assert np.ptp(vectors[:, everywhere], axis=0).max() > 1e-3


def test_texts_that_share_no_id_score_nothing_and_are_not_found(lexical: LexicalWeights) -> None:
    vectors = lexical.transform(["dog", "rain", ""])
    assert (vectors @ vectors.T).toarray()[np.triu_indices(3, 1)].tolist() == [0, 0, 0]
    found = SparseIndex(vectors[[1, 2]]).search(vectors[[0]], k=2)
    assert (found.numbers == NOTHING).all()


sparse = arrays(np.float32, (6, 5), elements=st.sampled_from([0, 0, 0, 1, 2, 3]))


@settings(max_examples=60, deadline=None)
@given(sparse, sparse, st.integers(1, 8), st.sets(st.integers(0, 5)))
def test_the_index_finds_the_largest_products(documents, queries, k, among) -> None:
    found = SparseIndex(csr_array(documents)).search(csr_array(queries), k, np.array(sorted(among), np.int64))
    everything = SparseIndex(csr_array(documents)).search(csr_array(queries), k)
    products = queries @ documents.T
    for row, line in enumerate(products):
        for ranking, looked in ((found, sorted(among)), (everything, range(6))):
            order = sorted((n for n in looked if line[n] > 0), key=lambda n: (-line[n], n))[:k]
            numbers, scores = ranking.line(row)
            assert numbers.tolist() == order
            assert scores.tolist() == line[order].tolist()


def test_blocks_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    documents, queries = (csr_array(rng.integers(0, 3, (size, 9)).astype(np.float32)) for size in (20, 7))
    whole = SparseIndex(documents).search(queries, 5)
    monkeypatch.setattr("plait.retrieval.sparse.BLOCK", 45)
    parts = SparseIndex(documents).search(queries, 5)
    np.testing.assert_array_equal(whole.numbers, parts.numbers)


def test_training_finds_what_the_answers_share(tiny_bert: Path) -> None:
    words = ["rain", "cats", "enzyme", "card", "fox", "token", "sunshine", "pets", "bank", "vector", "lost", "lazy"]
    queries = [f"the {word} and a" for word in words] * 2
    answers = [f"in the {word}" for word in words] + [f"{word} of the a" for word in words]
    pairs = LexicalPairs.read(TokenEncoder(Transformer(str(tiny_bert))), queries, answers)
    learned = LexicalWeights(Transformer(str(tiny_bert)), lr=0.03, temperature=0.1).learn(pairs)
    drawn = LexicalWeights(Transformer(str(tiny_bert)), epochs=0, temperature=0.1).learn(pairs)
    again = LexicalWeights(Transformer(str(tiny_bert)), lr=0.03, temperature=0.1).learn(pairs)
    np.testing.assert_array_equal(learned.weight_, again.weight_)
    assert np.abs(learned.weight_ - drawn.weight_).max() > 0.01
    assert learned.history_.losses[-1] < 0.8 * learned.history_.losses[0]


def test_pairs_that_share_a_text_are_no_negatives(tiny_bert: Path) -> None:
    encoder = TokenEncoder(Transformer(str(tiny_bert)))
    pairs = LexicalPairs.read(encoder, ["a", "a", "b", "c"], ["x", "y", "y", "z"], [["u"], ["v"], ["x"], ["u"]])
    examples = pairs.examples
    assert examples.groups is not None
    assert len(set(examples.groups[:3].tolist())) == 1
    assert examples.groups[3] not in examples.groups[:3]
    assert examples.negatives.shape == (4, 1)
    assert examples.negatives[0] == examples.negatives[3]
    assert examples.negatives[2] == examples.positives[0]
    assert len(pairs.offsets) == 3 + 5 + 1
    assert np.diff(pairs.offsets).tolist() == [1] * 8


def test_largest_of_as_in_a_loop() -> None:
    rng = np.random.default_rng(0)
    weights, rows, columns = rng.random(30).astype(np.float32), rng.integers(0, 4, 30), rng.integers(0, 5, 30)
    expected = np.zeros((4, columns.max() + 1), np.float32)
    for weight, row, column in zip(weights, rows, columns, strict=True):
        expected[row, column] = max(expected[row, column], weight)
    given_ = torch.from_numpy(weights).requires_grad_()
    found = largest_of(given_, torch.from_numpy(rows), torch.from_numpy(columns), 4)
    np.testing.assert_array_equal(found.detach().numpy(), expected)
    found.sum().backward()
    assert given_.grad is not None
    assert given_.grad.sum() == (expected > 0).sum()


def test_it_is_the_same_after_a_while_on_disk(tiny_bert: Path, tmp_path: Path) -> None:
    lexical = LexicalWeights(Transformer(str(tiny_bert)) | Layer(2), epochs=1, temperature=0.1).fit(QUERIES, ANSWERS)
    lexical.save(tmp_path / "head")
    again = LexicalWeights.load(tmp_path / "head")
    assert (str(again.recipe), again.epochs, again.temperature) == (str(lexical.recipe), 1, 0.1)
    np.testing.assert_array_equal(again.transform(SENTENCES).toarray(), lexical.transform(SENTENCES).toarray())
    assert sorted(file.suffix for file in (tmp_path / "head").iterdir()) == [".json", ".safetensors"]
    file = tmp_path / "head" / "lexical_weights.json"
    file.write_text(file.read_text().replace(again.encoder.encoder.fingerprint, "0" * 32))
    with pytest.raises(DataError, match="fitted on other weights"):
        LexicalWeights.load(tmp_path / "head")
    (tmp_path / "head" / "lexical_weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match="or damaged ones"):
        LexicalWeights.load(tmp_path / "head")


def test_what_cannot_be_is_told(tiny_bert: Path, tiny_table: Path, tmp_path: Path) -> None:
    fresh = LexicalWeights(Transformer(str(tiny_bert)))
    with pytest.raises(RecipeError, match="learned nothing yet"):
        fresh.transform(["a"])
    with pytest.raises(RecipeError, match="learned nothing yet"):
        fresh.save(tmp_path)
    with pytest.raises(RecipeError, match="gives no token vectors"):
        LexicalWeights(Transformer(str(tiny_bert)) | MeanPool())
    with pytest.raises(RecipeError, match="the same state in every text"):
        LexicalWeights(StaticTable(str(tiny_table)))
    with pytest.raises(DataError, match="one answer a query"):
        fresh.fit(["a", "b", "c"], ["x", "y", "z"])
    with pytest.raises(DataError, match="negatives"):
        fresh.fit(["a"] * 4, ["x"] * 4, [["y"]])
    with pytest.raises(DataError, match="expected a list of texts"):
        fresh.fit("abcd", "wxyz")
    with pytest.raises(DataError, match="no list of texts"):
        fresh.fit(["a"] * 4, ["x"] * 4).transform("abcd")
    with pytest.raises(DataError, match="all empty"):
        fresh.fit([""] * 4, [""] * 4)
    with pytest.raises(DataError, match="holds no lexical weights"):
        LexicalWeights.load(tmp_path / "nowhere")
    index = SparseIndex(csr_array(np.eye(3, dtype=np.float32)))
    with pytest.raises(RecipeError, match="1 or more"):
        index.search(csr_array(np.eye(3)), k=0)
    with pytest.raises(RecipeError, match="take one head"):
        index.search(csr_array(np.eye(4)))
    with pytest.raises(DataError, match="finite"):
        SparseIndex(csr_array(np.array([[np.nan]], np.float32)))
