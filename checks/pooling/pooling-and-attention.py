"""Five designs on one frozen decoder and the same examples: which pooling, and over which layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers
from _frozen import LENGTH, Frozen, exam, snli_triples, titled, triples_of
from _scan import similarity_score, stsb
from torch import nn

from plait.encoders.transformer import Transformer
from plait.evaluation import paired_test
from plait.layers.attention import LayerAttention
from plait.papers import Claim, Outcome
from plait.pooling.attention import AttentionPool
from plait.training import InfoNCE, Schedule, train
from plait.training.examples import Triples
from plait.types import Floats

HOST = "gemma-3-270m"
NLI, TITLES = 1000, 300
PAIRS, TRAIN, TEST = 300, 500, 300
LATENTS, HEADS, HEAD_DIM, EPOCHS = 8, 4, 64, 3
SEEDS = (0, 1, 2, 3, 4)
LEVEL = 0.05


def check(data: Path) -> Outcome:
    test = exam(data, genres=True, pairs=PAIRS, train=TRAIN, test=TEST)
    nli = snli_triples(data, NLI)
    pairs = titled(data, "scifact", TITLES) + titled(data, "cranfield", TITLES)
    host = Transformer(HOST, max_length=LENGTH, dtype="bfloat16")
    texts = [t for row in nli for t in row] + [t for row in pairs for t in row] + test.texts()
    frozen = Frozen.of(host, texts)
    examples = triples_of(frozen, nli, pairs)
    designs: dict[str, Callable[[int], Floats]] = {
        "all layers": lambda seed: _layers(frozen.last, frozen.layers, examples, seed),
        "last layer": lambda seed: _tokens(frozen, examples, seed),
        "copies of the last layer": lambda seed: _layers(
            np.tile(frozen.top, frozen.layers), frozen.layers, examples, seed
        ),
    }
    found = {name: [test.scores(frozen, design(seed)) for seed in SEEDS] for name, design in designs.items()}
    plain = {"last token": test.scores(frozen, frozen.top), "mean": test.scores(frozen, frozen.mean)}
    similarity, classes = list(test.pairs), list(test.classes)
    gain, p_value = _gain(found, similarity)
    lost, p_lost = _gain(found, classes)
    copies = _mean(found["copies of the last layer"], similarity)
    last = _mean(found["last layer"], similarity)
    main = Claim.above(
        "pooling over all layers beats the last layer's on STS", _mean(found["all layers"], similarity), last
    )
    significant = Claim(
        "and the difference is significant (p, signs turned)", gain > 0 and p_value < LEVEL, -p_value, -LEVEL, 0.0
    )
    classified = Claim(
        "on classification the gain is smaller, or not significant", lost < gain or p_lost >= LEVEL, gain, lost, 0.0
    )
    tiny, figures = _tiny(data)
    return Outcome(
        [main, significant, classified, tiny],
        [main.without("the layers replaced by copies of the last", copies)],
        metric="Spearman × 100, mean of four STS sets and five seeds",
        data=["nli/snli", "retrieval/scifact", "retrieval/cranfield", "sts/stsb", "sts/sick", "retrieval/med",
              "classification/trec", "classification/mr", "classification/subj"],
        seeds=SEEDS,
        figures={
            **_figures(found),
            **{f"untrained {way}, {name}": value for way, scores in plain.items() for name, value in scores.items()},
            "p, STS": p_value,
            "p, classification": p_lost,
            "gain, classification": lost,
            **figures,
        },
        note="Eight latents and 1,600 examples, where 32 and 5,000 would take hours on one core. Frozen host, causal: "
        "only the poolings learn, with latents, heads and steps alike. Paired sign-flip test over sets × seeds. "
        "Bidirectional attention was compared on a small decoder trained whole, since reading a frozen causal host the "
        "other way round is out of its distribution.",
    )  # fmt: skip


def _layers(stack: Floats, layers: int, examples: Triples, seed: int) -> Floats:
    step = LayerAttention(LATENTS, HEADS, HEAD_DIM, epochs=EPOCHS, random_state=seed)
    return step.fit(stack, examples, layers=layers).transform(stack)


def _tokens(frozen: Frozen, examples: Triples, seed: int) -> Floats:
    step = AttentionPool("latent_query", LATENTS, HEADS, HEAD_DIM, epochs=EPOCHS, random_state=seed)
    return step.fit(frozen.packed, examples).pool(frozen.states, frozen.tokens)


def _figures(found: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    names = next(iter(found.values()))[0]
    return {
        f"{way}, {name}": float(np.mean([run[name] for run in runs])) for way, runs in found.items() for name in names
    }


def _mean(runs: list[dict[str, float]], names: list[str]) -> float:
    return float(np.mean([[run[name] for name in names] for run in runs]))


def _gain(found: dict[str, list[dict[str, float]]], names: list[str]) -> tuple[float, float]:
    """Mean gain of all layers over the last, and its p over sets × seeds."""
    units = {design: [run[name] for run in found[design] for name in names] for design in ("all layers", "last layer")}
    row = paired_test({"all": units["all layers"]}, {"all": units["last layer"]}).rows[0]
    return row.difference, row.p_value


TINY_SEEDS, TINY_EPOCHS = (0, 1), 3


def _tiny(data: Path) -> tuple[Claim, dict[str, float]]:
    """A decoder of four layers trained from scratch on NLI, its attention one way or both, read by the mean."""
    nli, test = snli_triples(data, 2500), stsb(data, "test")
    host = Transformer(HOST, max_length=LENGTH, dtype="bfloat16")  # only its tokenizer is used
    texts = list(dict.fromkeys([t for row in nli for t in row] + [t for a, b, _ in test for t in (a, b)]))
    tokens = host.tokenize(texts)
    used, ids = np.unique(tokens.ids, return_inverse=True)
    spans = list(zip(tokens.offsets[:-1].tolist(), tokens.offsets[1:].tolist(), strict=True))
    rows = {text: torch.from_numpy(ids[a:b] + 1) for text, (a, b) in zip(texts, spans, strict=True)}
    scores = {}
    for causal in (True, False):
        scores[causal] = [_trained(rows, nli, test, len(used) + 1, causal, seed) for seed in TINY_SEEDS]
    means = {causal: float(np.mean(found)) for causal, found in scores.items()}
    claim = Claim.above(
        "a small decoder tuned with bidirectional attention beats causal on STS-B", means[False], means[True]
    )
    return claim, {"tiny, causal": means[True], "tiny, bidirectional": means[False]}


def _trained(
    rows: dict[str, torch.Tensor], nli: list[tuple[str, str, str]], test: list[tuple[str, str, float]],
    vocabulary: int, causal: bool, seed: int,
) -> float:  # fmt: skip
    config = transformers.LlamaConfig(
        vocab_size=vocabulary, hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=64, pad_token_id=0, use_cache=False,
    )  # fmt: skip
    config.is_causal = causal
    torch.manual_seed(seed)
    model = transformers.LlamaModel(config)
    for module in model.modules():
        if hasattr(module, "is_causal"):
            module.is_causal = causal
    loss = InfoNCE(0.05)

    def vectors(texts: list[str]) -> torch.Tensor:
        padded = nn.utils.rnn.pad_sequence([rows[text] for text in texts], batch_first=True)
        mask = padded > 0
        states = model(padded, attention_mask=mask.long()).last_hidden_state
        return (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)

    def batches(epoch: int) -> list[list[tuple[str, str, str]]]:
        order = np.random.default_rng([seed, epoch]).permutation(len(nli))
        return [[nli[n] for n in order[start : start + 64]] for start in range(0, len(order) - 63, 64)]

    def step(batch: list[tuple[str, str, str]]) -> torch.Tensor:
        found = vectors([text for side in zip(*batch, strict=True) for text in side]).chunk(3)
        value: torch.Tensor = loss(found[0], found[1], found[2][:, None])
        return value

    train(model, batches, step, schedule=Schedule(TINY_EPOCHS, lr=5e-4, seed=seed))
    sides = [a for a, _, _ in test] + [b for _, b, _ in test]
    with torch.no_grad():
        parts = [vectors(sides[start : start + 256]) for start in range(0, len(sides), 256)]
    return similarity_score(torch.cat(parts).numpy(), test)
