"""What is left of a language model's predictions without one of its blocks, and what changes over its depth."""

from __future__ import annotations

import gzip
import re
import tempfile
from pathlib import Path

import numpy as np
from _tiny_decoders import trained
from _untrained import untrained
from scipy.stats import spearmanr

from plait.analysis import LayerIntervention, depth_profile, layer_intervention, stages
from plait.analysis.depth import local_attention
from plait.analysis.streaming import tokenized
from plait.encoders.interventions import intervene, reordered
from plait.encoders.transformer import Transformer
from plait.papers import Ablation, Claim, Outcome

HOST, ENCODER = "gemma-3-270m", "all-MiniLM-L6-v2"
TEXTS, LENGTH, POSITIONS = 48, 64, 600
KEPT = 0.6
DEPTHS = (4, 8, 12)


def check(data: Path) -> Outcome:
    texts = _passages(data)
    host = Transformer(HOST, max_length=LENGTH, dtype="bfloat16")
    found = {kind: layer_intervention(host, texts, kind, positions=POSITIONS) for kind in ("delete", "swap")}
    middle = _middle(found["delete"])
    profile = depth_profile(host, texts, positions=POSITIONS)
    kl, local = profile.figures["lens_kl"], profile.figures["local_attention"]
    third = host.depth // 3
    early, late = local[:third].mean(), local[-third:].mean()
    with tempfile.TemporaryDirectory() as folder:
        random = local_attention(untrained(host, Path(folder)), tokenized(host, texts))
    swapped = _middle(found["swap"])
    encoder = Transformer(ENCODER, max_length=LENGTH)
    vectors = layer_intervention(encoder, texts)
    noise = _noised(host, texts, host.depth // 2)
    depths = {depth: trained(data, depth) for depth in DEPTHS}
    kept = {depth: layer_intervention(own, texts, positions=POSITIONS) for depth, own in depths.items()}
    nearer = Claim.above(
        "blocks of the first third look more at the five tokens before than the last third's (share of attention)",
        early,
        late,
        0,
    )
    exact = _same_as_built(host, texts[:4])
    return Outcome(
        [
            Claim.above("without one middle block most first choices stay (agreement, mean)", middle, KEPT, 0),
            Claim(
                "without the first block less than half of that stays",
                found["delete"].agreement[0] < middle / 2,
                found["delete"].agreement[0],
                middle,
                0,
            ),
            Claim.above(
                "exchanging two middle blocks costs hardly more than leaving one out (agreement, mean)",
                swapped,
                middle,
                -0.05,
            ),
            Claim.above(
                "exchanging two middle blocks costs less than exchanging the first two",
                swapped,
                found["swap"].agreement[0],
            ),
            Claim.above(
                "over the last third the lens comes nearer block by block (rank correlation, sign turned)",
                -float(spearmanr(np.arange(third), kl[-third:]).statistic),
                0,
                0.9 - 1e-9,
            ),
            nearer,
            Claim(
                f"{ENCODER}: of all blocks the first is missed most (cosine of text vectors)",
                int(vectors.agreement.argmin()) == 0,
                vectors.agreement[0],
                vectors.agreement[1:].min(),
                0,
            ),
            Claim(
                "leaving a block out is what a model without it does, and then all is as before (largest difference)",
                exact == 0,
                exact,
                0,
                0,
            ),
            Claim.above(
                f"own models of {DEPTHS[0]}, {DEPTHS[1]} and {DEPTHS[2]} blocks: the deeper keeps more (middle blocks)",
                _middle(kept[DEPTHS[-1]]),
                _middle(kept[DEPTHS[0]]),
                0,
            ),
        ],
        [
            Ablation(
                "untrained weights: the first third looks back no more than a tenth as much more",
                bool(random[:third].mean() - random[-third:].mean() < 0.1 * (early - late)),
                random[:third].mean() - random[-third:].mean(),
            ),
            Ablation("noise of the size of the states instead of leaving out: agreement", noise < KEPT, noise),
        ],
        metric="share of equal first choices",
        data=["text/classic_books"],
        seeds=[0],
        figures={
            **_table(HOST, [row for kind in found.values() for row in _rows(kind)]),
            **_table(HOST, [(f"{k}, block {r['layer']:.0f}", v) for r in profile.table() for k, v in r.items()]),
            **_table(HOST, [(f"local attention untrained, block {n}", v) for n, v in enumerate(random, 1)]),
            **_table(HOST, [(f"stage {r['stage']:.0f}, last block", r["last_block"]) for r in stages(profile).table()]),
            **_table(ENCODER, _rows(vectors)),
            **{f"own model of {depth} blocks: agreement, middle blocks": _middle(kept[depth]) for depth in DEPTHS},
            **{f"own model of {depth} blocks: agreement, {n}": v for depth in DEPTHS for n, v in _ends(kept[depth])},
        },
        note=(
            f"{HOST} (4-bit weights) stands for Pythia, GPT-2 and Phi; {TEXTS} texts of {LENGTH} tokens and "
            f"{POSITIONS} predictions for a million tokens. Blocks are exchanged with their kind of attention, "
            "sliding or full. The first token is left out of all figures. The own models have seen 230,000 tokens "
            "each and predict little more than frequent pairs: what they say of depth is a direction at most. "
            "Gains of norms are not folded into the weights when neurons are counted, over 8,192 of the tokens; "
            "heads that join word pieces and probes on the outputs of neurons are not measured."
        ),
    )


def _passages(data: Path) -> list[str]:
    """Passages of the validation books, each long enough to be cut to the same number of tokens."""
    text = gzip.decompress((data / "text" / "classic_books" / "valid_0.txt.gz").read_bytes()).decode()
    long = [" ".join(part.split()) for part in text.split("\n\n") if len(part) > 8 * LENGTH]
    long = [part for part in long if not re.match("<<<", part)]
    return [long[n] for n in np.random.default_rng(0).permutation(len(long))[:TEXTS]]


def _middle(found: LayerIntervention) -> float:
    """Mean agreement over the middle half of the blocks that were looked at."""
    count = len(found.layers)
    return float(found.agreement[count // 4 : count - count // 4].mean())


def _ends(found: LayerIntervention) -> list[tuple[str, float]]:
    return [("first block", float(found.agreement[0])), ("last block", float(found.agreement[-1]))]


def _noised(host: Transformer, texts: list[str], layer: int) -> float:
    """Agreement when a middle block's output is noise of its own size: what leaving out must not be."""
    import torch

    from plait.analysis.predictions import Sample, compared
    from plait.encoders.vocabulary_head import vocabulary_head

    sample = Sample.draw(tokenized(host, texts), POSITIONS, 0)
    base = sample.states(host, (host.depth,))[0]
    random = torch.Generator().manual_seed(0)

    def drowned(states: torch.Tensor, batch: object) -> torch.Tensor:
        drawn = torch.randn(states.shape, generator=random).to(states)
        return drawn * states.norm(dim=-1, keepdim=True) / drawn.norm(dim=-1, keepdim=True)

    with intervene(host.host, {layer: drowned}):
        changed = sample.states(host, (host.depth,))
    head = vocabulary_head(host.host)
    return float(compared(base, list(changed), sample.targets, head.logits, head.logits)[0, 0])


def _same_as_built(host: Transformer, texts: list[str]) -> float:
    """Largest difference of final states to a copy with the block taken out of its list, and to the first run after."""
    import copy

    import torch

    layer, tokens = host.depth // 2, host.tokenize(texts)
    before = host.states(tokens, (host.depth,)).values
    with reordered(host.host, [n for n in range(1, host.depth + 1) if n != layer]):
        without = host.states(tokens, (host.depth,)).values
    after = host.states(tokens, (host.depth,)).values
    with reordered(host.host, [2, 1, *range(3, host.depth + 1)]):
        host.states(tokens, (host.depth,))
    twice = host.states(tokens, (host.depth,)).values
    built = copy.deepcopy(host.host.model)
    del built.layers[layer - 1]
    del built.config.layer_types[layer - 1]
    built.config.num_hidden_layers -= 1
    ids = torch.from_numpy(tokens.ids.astype(np.int64)).reshape(len(texts), -1)
    with torch.inference_mode():
        alone = built(input_ids=ids).last_hidden_state.float().numpy().reshape(1, -1, host.width)
    return float(max(abs(alone - without).max(), abs(before - after).max(), abs(before - twice).max()))


def _rows(found: LayerIntervention) -> list[tuple[str, float]]:
    names = {"delete": "without block", "swap": "blocks exchanged from"}
    return [
        (f"{name}, {names[found.kind]} {row['layer']:.0f}", value)
        for row in found.table()
        for name, value in row.items()
        if name != "layer"
    ]


def _table(name: str, rows: list[tuple[str, float]]) -> dict[str, float]:
    return {f"{name}: {text.replace('_', ' ')}": float(value) for text, value in rows if not text.startswith("layer,")}
