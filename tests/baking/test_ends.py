"""An embedding that the output layer shares changes alone in every architecture, or is refused.

What PEFT trains there changes one end of the two. A name that is not known for one of them would
change both, which is another model.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from peft import LoraConfig, get_peft_model
from tests.baking.checkpoints import normal, write_checkpoint
from tests.baking.conftest import told_by_peft
from tests.conftest import WriteAdapter
from tests.names.bodies import TEXT, WITH_A_HEAD

import superpose as sp
from superpose.baking import bake
from superpose.baking.ties import free_name
from superpose.errors import Refused
from superpose.files.checkpoint import Checkpoint
from superpose.names.stored import end_of

_GPT: dict[str, Any] = {"n_embd": 32, "n_layer": 1, "n_head": 4, "vocab_size": 64}

MODELS: dict[str, Callable[[], Any]] = {
    **{name: WITH_A_HEAD[name] for name in ("ModernBERT", "OPT", "BLOOM", "MPT", "Falcon", "Mamba",
                                            "XLNet", "GPT-NeoX")},
    "GPT-2": lambda: tf.GPT2LMHeadModel(tf.GPT2Config(**_GPT)),
    "GPT": lambda: tf.OpenAIGPTLMHeadModel(tf.OpenAIGPTConfig(**_GPT)),
    "CTRL": lambda: tf.CTRLLMHeadModel(tf.CTRLConfig(**_GPT, dff=48)),
    "BERT": lambda: tf.BertLMHeadModel(tf.BertConfig(**TEXT, is_decoder=True)),
    "RoBERTa": lambda: tf.RobertaForCausalLM(tf.RobertaConfig(**TEXT, is_decoder=True)),
    "BioGPT": lambda: tf.BioGptForCausalLM(tf.BioGptConfig(**TEXT)),
    "XLM": lambda: tf.XLMWithLMHeadModel(
        tf.XLMConfig(emb_dim=32, n_layers=1, n_heads=4, vocab_size=64)
    ),
}  # fmt: skip
PARTED = {"GPT-2", "GPT", "CTRL", "OPT", "BLOOM", "MPT", "Falcon", "Mamba", "GPT-NeoX"}
KEYS = re.compile(r"^class (\w+)|^    _tied_weights_keys\b[^=\n]*= (\{[^{}]*\})", re.MULTILINE)
IDS = torch.tensor([[5, 6, 7, 8, 9]])


@pytest.mark.parametrize("kind", MODELS)
def test_an_embedding_changes_alone_or_is_refused(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = MODELS[kind]()
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(tmp_path / "base")
    of = type(model)
    base = of.from_pretrained(tmp_path / "base").eval()
    embedding = base.get_input_embeddings()
    (target,) = (name for name, module in base.named_modules() if module is embedding)
    with torch.no_grad(), told_by_peft():
        plain = base(IDS).logits
        config = LoraConfig(r=2, target_modules=[target], init_lora_weights=False)
        trained = get_peft_model(base, config).eval()
        trained.save_pretrained(tmp_path / "a", save_embedding_layers=False)
        right = trained(IDS).logits
    if kind not in PARTED:
        with pytest.raises(Refused, match="does not know how this architecture parts them"):
            bake(tmp_path / "base", sp.load(tmp_path / "a"), tmp_path / "out")
        return
    bake(tmp_path / "base", sp.load(tmp_path / "a"), tmp_path / "out")
    baked, told = of.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(told.values()), told
    with torch.no_grad():
        error = (baked.eval()(IDS).logits - right).norm()
    assert error <= 1e-5 * (right - plain).norm()


def test_what_may_be_an_embedding_by_an_unknown_name_is_refused_where_weights_are_tied(
    write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    adapter = sp.load(write_adapter("a", width=8, modules=("model.words",)))
    tensors = {"model.words.weight": normal(8, 8)}
    for tied, more, refused in [
        (True, {}, True),
        (False, {}, False),
        (True, {"model.embed_tokens.weight": normal(8, 8)}, False),
    ]:
        base = write_checkpoint(tmp_path / f"{tied}{len(more)}", {**tensors, **more},
                                vocab_size=8, tie_word_embeddings=tied)  # fmt: skip
        if refused:
            with pytest.raises(Refused, match=r"`model.words.weight`.*does not know"):
                bake(base, adapter, tmp_path / "out")
        else:
            bake(base, adapter, tmp_path / "out", force=True)


@cache
def tied_keys() -> list[tuple[str, str, str]]:
    """Of transformers' models the architecture, the output layer and the embedding that it has."""
    found, name = [], ""
    for file in sorted((Path(tf.__file__).parent / "models").rglob("modeling_*.py")):
        text = file.read_text(encoding="utf-8")
        for of, keys in KEYS.findall(text) if "_tied_weights_keys" in text else ():
            name = of or name
            found += [(name, *pair) for pair in ast.literal_eval(keys or "{}").items()]
    return found


# What is tied there is no end of one language model's, is named as much else is, or stands both
# ways round.
APART = {
    "BltForCausalLM", "CsmForConditionalGeneration", "GitForCausalLM", "GraniteSpeech5ForCTC",
    "IBertForMaskedLM", "LukeForMaskedLM", "NeoMMEForMaskedLM", "RwkvForCausalLM",
    "OpenAIGPTDoubleHeadsModel", "Qwen3OmniMoeTalkerForConditionalGeneration",
}  # fmt: skip


def test_the_ends_of_every_architecture_of_transformers_are_known_by_name() -> None:
    seen = 0
    for name, output, embedding in tied_keys():
        if not output.endswith("weight") or end_of(output) == "input" or name in APART:
            continue
        if any(word in embedding for word in ("emb", "shared", "wte", ".w.")) and (
            "patch" not in output
        ):
            assert (end_of(output), end_of(embedding)) == ("output", "input"), name
            seen += 1
    assert seen > 300


def test_an_output_layer_is_named_as_its_architecture_names_it_or_refused(tmp_path: Path) -> None:
    tensor = "model.embed_tokens.weight"
    base = Checkpoint.open(write_checkpoint(tmp_path / "base", {tensor: normal(8, 8)}))
    named = set()
    for name, output, _ in tied_keys():
        if end_of(output) == "output":
            of = replace(base, config={"architectures": [name]})
            with contextlib.suppress(Refused):
                assert free_name(of, tensor, "output", ()) == output, name
                named.add(name)
    assert len(named) > 200
