"""Text that a decoder writes, beside what transformers itself writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from plait.encoders.hosts import host
from plait.encoders.sampling import sample
from plait.types import ModelError
from tests.tiny import write_decoder

PROMPTS = ["A short prompt", "Another one, that is a good deal longer than the first", "Rain"]


@pytest.fixture(scope="module", params=["LlamaForCausalLM", "Gemma3ForCausalLM"])
def tied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder that scores with its token table; long enough prompts leave the sliding window of one of them."""
    folder = write_decoder(tmp_path_factory.mktemp("tied"), request.param)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(folder)
    return folder


def test_the_best_tokens_are_those_of_the_peer(tied: Path) -> None:
    peer = transformers.AutoModelForCausalLM.from_pretrained(tied).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tied)
    expected = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.inference_mode():
            written = peer.generate(ids, max_new_tokens=20, do_sample=False)[0, ids.shape[1] :].tolist()
        written = written[: written.index(1)] if 1 in written else written
        expected.append(tokenizer.decode(written, skip_special_tokens=True).strip())
    found = sample(host(str(tied)), PROMPTS, count=2, temperature=0, max_tokens=20, stop=())
    assert found == [[text, text] for text in expected]
    assert any(expected)


def test_draws_are_a_prompts_own(tied: Path) -> None:
    together = sample(host(str(tied)), PROMPTS, count=3, temperature=1.0, max_tokens=8, seed=4)
    alone = [sample(host(str(tied)), [prompt], count=3, temperature=1.0, max_tokens=8, seed=4)[0] for prompt in PROMPTS]
    assert together == alone
    assert sample(host(str(tied)), PROMPTS, count=3, temperature=1.0, max_tokens=8, seed=5) != together
    assert len(set(together[0])) > 1


def test_a_text_ends_before_a_stop(tied: Path) -> None:
    (whole,) = sample(host(str(tied)), PROMPTS[:1], count=1, temperature=0, max_tokens=24, stop=())[0]
    mark = whole[len(whole) // 2]
    (cut,) = sample(host(str(tied)), PROMPTS[:1], count=1, temperature=0, max_tokens=24, stop=(mark,))[0]
    assert cut == whole[: whole.index(mark)].strip()


def test_an_encoder_cannot_write(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match="is no decoder"):
        sample(host(str(tiny_bert)), ["a"], count=1)
