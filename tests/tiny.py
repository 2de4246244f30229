"""Tiny models, made on the spot: real folders in the formats that users have."""

from __future__ import annotations

import json
import string
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.",
    "A transformer maps every token of a text to a vector.",
    "Cats and dogs are often kept as pets, and so are rabbits.",
    "The enzyme binds its substrate within 3 milliseconds.",
    "Please cancel my card: I lost it on the train yesterday!",
    "Rain is expected in the north, sunshine in the south.",
    "How long does a transfer to another bank take?",
    "",
    "Word",
]
"""Short texts of many lengths, an empty one and a single word among them."""


def wordpiece() -> Tokenizer:
    """A BERT-like tokenizer: some whole words, and every character for the rest."""
    words = sorted({word.strip(".,:!?").lower() for sentence in SENTENCES for word in sentence.split()})
    letters = [*string.ascii_lowercase, *string.digits]
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = [*specials, *string.punctuation, *letters, *(f"##{letter}" for letter in letters), *words[::2]]
    ids = {piece: number for number, piece in enumerate(dict.fromkeys(vocabulary))}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def write_bert(folder: Path) -> Path:
    """A random BERT: 3 layers, 32 wide, 64 positions."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = wordpiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
    ).save_pretrained(folder)
    return folder


EXPERTS: dict[str, dict[str, int]] = {
    "MixtralForCausalLM": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "OlmoeForCausalLM": {"num_experts": 5, "num_experts_per_tok": 2},
    "Qwen2MoeForCausalLM": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 8,
        "shared_expert_intermediate_size": 8,
        "decoder_sparse_step": 2,
    },
}
"""Settings of mixtures of experts; of the last kind only every second block has experts."""


def write_decoder(folder: Path, architecture: str = "LlamaForCausalLM") -> Path:
    """A random causal model: 3 layers, 16 wide, 128 positions; byte pairs, <s> in front, two tokens no text uses."""
    import torch
    import transformers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<s>", "</s>", "<pad>", "<unused0>", "<unused1>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=360, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    model = getattr(transformers, architecture)
    local = {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
    config = model.config_class(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=128,
        initializer_range=0.2,
        pad_token_id=2,
        **(local if "Gemma3" in architecture else EXPERTS.get(architecture, {})),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model(config).save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=["<unused0>", "<unused1>"],
        model_max_length=128,
    ).save_pretrained(folder)
    return folder


def write_table(folder: Path) -> Path:
    """A random static table, 16 wide, laid out as model2vec does."""
    from safetensors.numpy import save_file

    tokenizer = wordpiece()
    tokenizer.save(str(folder / "tokenizer.json"))
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 16)).astype(np.float32)
    save_file({"embeddings": table}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": False, "hidden_dim": 16}))
    return folder
