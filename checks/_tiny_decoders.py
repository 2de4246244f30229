"""Small decoders that are trained on the spot, alike in all but their depth."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from plait.encoders.transformer import Transformer
from plait.training import Schedule, train

WIDTH, VOCABULARY, LENGTH = 128, 2048, 64
BATCH, BATCHES, EPOCHS = 24, 50, 3
"""Sequences a step, steps an epoch and epochs: 230,000 tokens."""
CHARACTERS = 1_500_000


def trained(data: Path, depth: int, seed: int = 0) -> Transformer:
    """A decoder of so many blocks, trained on books to predict the next token."""
    tokenizer, ids = _text(data / "text" / "classic_books" / "train_0.txt.gz")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                vocab_size=VOCABULARY,
                hidden_size=WIDTH,
                intermediate_size=3 * WIDTH,
                num_hidden_layers=depth,
                num_attention_heads=4,
                max_position_embeddings=2 * LENGTH,
                tie_word_embeddings=True,
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=1,
            )
        )
    first = torch.zeros(BATCH, 1, dtype=torch.long)

    def batches(epoch: int) -> list[torch.Tensor]:
        random = torch.Generator().manual_seed(1000 * seed + epoch)
        starts = torch.randint(len(ids) - LENGTH, (BATCHES, BATCH, 1), generator=random)
        return [torch.cat([first, ids[start + torch.arange(LENGTH - 1)]], dim=1) for start in starts]

    train(model, batches, lambda batch: model(input_ids=batch, labels=batch).loss, schedule=Schedule(EPOCHS, 2e-3))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
        ).save_pretrained(folder)
        encoder = Transformer(folder, max_length=LENGTH)
        assert encoder.host.depth == depth  # reads the weights while the folder is there
    return encoder


@cache
def _text(path: Path) -> tuple[Tokenizer, torch.Tensor]:
    """A byte-level tokenizer learned from the text, and the text's ids."""
    text = gzip.decompress(path.read_bytes()).decode()[:CHARACTERS]
    tokenizer = byte_pairs(text.splitlines(), VOCABULARY)
    return tokenizer, torch.tensor(tokenizer.encode(text, add_special_tokens=False).ids)


def byte_pairs(lines: Iterable[str], vocabulary: int) -> Tokenizer:
    """A byte-level tokenizer learned from some lines, with <s> before every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tokenizer
