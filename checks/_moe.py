"""A small language model with a mixture of experts, and a dense one of the same size, trained once and kept."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import torch
import transformers
from _tiny_decoders import byte_pairs
from tokenizers import Tokenizer

from plait.bank import digest
from plait.encoders.checksums import cache_folder
from plait.training import Schedule, train

WIDTH, DEPTH, HEADS, EXPERTS, CHOSEN = 128, 4, 4, 16, 2
VOCABULARY, LENGTH, BATCH, BATCHES, EPOCHS = 4096, 64, 32, 40, 12
"""Tokens in the vocabulary and in a sequence, sequences a step, steps an epoch, epochs: 980,000 tokens are read."""
BALANCE = 0.01
"""Weight of the loss that keeps the experts equally busy."""
FILES, CHARACTERS = 5, 12_000_000
KINDS = ("experts", "dense")


def language_model(data: Path, kind: str, seed: int = 0) -> Path:
    """Folder of a causal language model; trained at the first call.

    Args:
        data: where the books are.
        kind: "experts" or "dense"; both have as many weights.
        seed: of weights and batches.
    """
    shape = (WIDTH, DEPTH, EXPERTS, CHOSEN, VOCABULARY)
    settings = (kind, seed, *shape, LENGTH, BATCH, BATCHES, EPOCHS, FILES, CHARACTERS, BALANCE)
    folder = cache_folder().parent / "checks" / f"{kind}-{digest(*map(str, settings))[:12]}"
    if folder.is_dir():
        return folder
    tokenizer, ids = _text(data / "text" / "classic_books")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _model(kind)

    def batches(epoch: int) -> list[torch.Tensor]:
        random = torch.Generator().manual_seed(1000 * seed + epoch)
        starts = torch.randint(len(ids) - LENGTH, (BATCHES, BATCH, 1), generator=random)
        return [ids[start + torch.arange(LENGTH)] for start in starts]

    part = folder.with_name(folder.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    train(
        model,
        batches,
        lambda batch: model(input_ids=batch, labels=batch).loss,
        schedule=Schedule(EPOCHS, 2e-3),
        checkpoint=part / "state.training",
    )
    (part / "state.training").unlink(missing_ok=True)
    model.save_pretrained(part)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    ).save_pretrained(part)
    shutil.move(part, folder)
    return folder


def _model(kind: str) -> torch.nn.Module:
    common = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    if kind == "dense":
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(intermediate_size=EXPERTS * WIDTH, **common))
    return transformers.MixtralForCausalLM(
        transformers.MixtralConfig(
            intermediate_size=WIDTH,
            num_local_experts=EXPERTS,
            num_experts_per_tok=CHOSEN,
            output_router_logits=True,
            router_aux_loss_coef=BALANCE,
            sliding_window=None,
            **common,
        )
    )


def _text(folder: Path) -> tuple[Tokenizer, torch.Tensor]:
    """A byte-level tokenizer learned from books, and ids of the beginnings of several files of them."""
    files = [gzip.decompress((folder / f"train_{n}.txt.gz").read_bytes()).decode() for n in range(FILES)]
    text = "".join(file[: CHARACTERS // FILES] for file in files)
    tokenizer = byte_pairs(text.splitlines()[::4], VOCABULARY)
    lines = tokenizer.encode_batch_fast(text.splitlines(keepends=True), add_special_tokens=False)
    return tokenizer, torch.tensor([i for line in lines for i in line.ids])
