"""A masked language model small enough to train twice in a check: with position embeddings, and without."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import BertConfig, BertForMaskedLM

from plait.types import Floats, Ints

VOCABULARY, WIDTH, LENGTH = 2000, 128, 64
BATCH, STEPS, LEARNING_RATE = 32, 400, 2e-3
MASK, BYTES = 0, 5_000_000


def token_ids(data: Path) -> Ints:
    """``[N, LENGTH]`` ids of five megabytes of the books, in byte-level pieces learned from a part of them."""
    text = gzip.decompress((data / "text" / "classic_books" / "train_0.txt.gz").read_bytes()).decode()[:BYTES]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    lines = text.split("\n")
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["[MASK]"], show_progress=False)
    tokenizer.train_from_iterator(lines[: len(lines) // 5], trainer)
    ids = np.concatenate([np.array(e.ids, np.int64) for e in tokenizer.encode_batch_fast(text.split("\n\n"))])
    return ids[: len(ids) // LENGTH * LENGTH].reshape(-1, LENGTH)


def column_means(ids: Ints, positions: bool, seed: int) -> tuple[Floats, float]:
    """``[layers, WIDTH]`` mean of every dimension over held-out tokens after training, and the last training loss."""
    torch.manual_seed(seed)
    model = BertForMaskedLM(
        BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=4 * WIDTH,
            max_position_embeddings=LENGTH,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )
    if not positions:
        table = model.bert.embeddings.position_embeddings.weight
        table.data.zero_()
        table.requires_grad_(False)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, STEPS)
    losses = []
    for given, labels in _batches(ids[:-BATCH], seed):
        loss = model(input_ids=given, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    model.train(False)
    with torch.inference_mode():
        states = model.bert(torch.from_numpy(ids[-BATCH:]), output_hidden_states=True).hidden_states
    return np.stack([plane.mean(dim=(0, 1)).numpy() for plane in states]), float(np.mean(losses[-20:]))


def _batches(ids: Ints, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Ids with 15 of 100 masked, and labels that count only there."""
    rng = np.random.default_rng(seed)
    for _ in range(STEPS):
        rows = ids[rng.integers(len(ids), size=BATCH)]
        hidden = rng.random(rows.shape) < 0.15
        yield torch.from_numpy(np.where(hidden, MASK, rows)), torch.from_numpy(np.where(hidden, rows, -100))
