"""What a sweep costs: 42 vectors a text beside one, 200 candidates beside a loop over them, a changed transform.

Run: PLAIT_DATA=… python benchmarks/sweep.py        (about 10 CPU-minutes; writes results/sweep.json)
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from plait import plan
from plait.data import read
from plait.encoders.weights import find_weights
from plait.evaluation.embedded import Embedded
from plait.selection.costs import machine, versions
from plait.selection.space import Space, chain
from plait.step import Chain

POOLINGS = ("MeanPool()", "ClsPool()", "MaxPool()", "LastPool()", "WeightedMeanPool()", "SifPool()")
TRANSFORMS = {
    "all-MiniLM-L6-v2": ("", "Center()", "AllButTheTop(1)", "Whitening(128)"),
    "wordllama": (
        "",
        "Center()",
        "AllButTheTop(1)",
        "Whitening(128)",
        "Pca(128)",
        "Pca(64)",
        "ClipOutliers()",
        "Truncate(64)",
    ),
}
ROUNDS = 3


def main() -> None:
    texts = list(read("data:sts/stsb").documents[:5000])
    out = {
        "texts": len(texts),
        "machine": machine(),
        "versions": {**versions(), **versions(("sentence-transformers", "model2vec"))},
        "forty_two_vectors": forty_two(texts[:1000]),
        "two_hundred_candidates": candidates(texts),
        "changed_step_seconds": changed(texts),
    }
    path = Path(__file__).parent / "results" / "sweep.json"
    path.write_text(json.dumps(out, indent=1) + "\n")
    print(json.dumps(out, indent=1))


def forty_two(texts: list[str]) -> dict[str, object]:
    """CPU-seconds of a pass with 7 layers × 6 poolings beside a pass with one, in turns."""
    many = _strands(Space(("all-MiniLM-L6-v2",), mixes=(), poolings=POOLINGS), texts)
    one = [leaf for leaf in many if leaf.text.endswith("Layer(6) | MeanPool()")]
    plan.run(one, texts[:50])
    rounds = [(_cpu(lambda: plan.run(one, texts)), _cpu(lambda: plan.run(many, texts))) for _ in range(ROUNDS)]
    plain, sweep = (statistics.median(side) for side in zip(*rounds, strict=True))
    return {"vectors": len(many), "plain_cpu_s": plain, "sweep_cpu_s": sweep, "ratio": sweep / plain}


def candidates(texts: list[str]) -> dict[str, object]:
    """All candidates of two models, transforms fitted and applied, beside one `encode` a candidate.

    The loop's cost is one measured `encode` of each model times its number of candidates: it has nothing to share.
    """
    from sentence_transformers import SentenceTransformer

    ours, count, encoded = 0.0, 0, {}
    loop = 0.0
    for model, transforms in TRANSFORMS.items():
        poolings = POOLINGS if model != "wordllama" else ("MeanPool()", "MaxPool()", "SifPool()", "WeightedMeanPool()")
        space = Space((model,), mixes=(), poolings=poolings, transforms=transforms)
        recipes = [chain(strand, text) for strand in space.strands() for text in transforms]
        calls: list[int] = []
        ours += _cpu(lambda recipes=recipes, calls=calls: calls.extend(_all(recipes, texts)))  # type: ignore[misc]
        count, encoded[model] = count + len(recipes), calls[0]
        if model == "wordllama":
            from wordllama import WordLlama

            folder = Path(str(find_weights(model).file)).parents[1]
            peer = WordLlama.load(config="l2_supercat", dim=256, disable_download=True, cache_dir=folder)
            loop += len(recipes) * _cpu(lambda peer=peer: peer.embed(texts))  # type: ignore[misc]
        else:
            host = SentenceTransformer(str(find_weights(model).folder), device="cpu")
            loop += len(recipes) * _cpu(lambda host=host: host.encode(texts))  # type: ignore[misc]
    return {
        "candidates": count,
        "encoded_texts": encoded,
        "plait_cpu_s": ours,
        "loop_cpu_s": loop,
        "times_cheaper": loop / ours,
    }


def changed(texts: list[str]) -> dict[str, float]:
    """Wall seconds for all texts after a changed step, from vectors that are there."""
    leaves = _strands(Space(("all-MiniLM-L6-v2",), layers=(4, 6), mixes=(), poolings=("MeanPool()",)), texts)
    vectors, _ = plan.run(leaves, texts)
    first, second = vectors.values()
    base = chain(Space(("all-MiniLM-L6-v2",)).encoders()[0], "Layer(6)", "MeanPool()")
    given = {next(base.strands()).text: second}

    def redo(text: str) -> Callable[[], object]:
        recipe = chain(base, text)
        return lambda: recipe.learn(given).weave(given)

    return {
        "whitening": _wall(redo("Whitening()")),
        "truncation": _wall(redo("Truncate(128)")),
        "int8": _wall(redo("Int8()")),
        "binary": _wall(redo("Binary()")),
        "concatenation": _wall(lambda: Embedded.concat([Embedded(first), Embedded(second)], np.array([1.0, 0.5]))),
    }


def _strands(space: Space, texts: list[str]) -> list[plan.Strand]:
    return _fitted(list(space.strands()), texts)


def _fitted(chains: list[Chain], texts: list[str]) -> list[plan.Strand]:
    leaves = [leaf for strand in chains for leaf in strand.strands()]
    tokens = leaves[0].encoder.tokenize(texts)
    for leaf in leaves:
        leaf.pool.fit(tokens)  # type: ignore[attr-defined]
    return [leaf for strand in chains for leaf in strand.strands()]


def _all(recipes: list[Chain], texts: list[str]) -> list[int]:
    """Vectors of every recipe; gives how many texts the forward pass saw."""
    vectors, passes = plan.run(_fitted(recipes, texts), texts)
    for recipe in recipes:
        recipe.learn(vectors).weave(vectors)
    return [report.encoded for report in passes.values()]


def _cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _wall(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
