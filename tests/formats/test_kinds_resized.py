"""Adapters of a base whose vocabulary was resized: PEFT saves both ends beside the adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file
from tests.formats.kinds import CLOSE, distance, gpt2, llama, make, quietly, tied_llama

import superpose
from superpose.compose import OnBase
from superpose.errors import DifferentBase
from superpose.files.checkpoint import Checkpoint

Case = tuple[Callable[[], Any], Mapping[str, Any]]

SAVED: dict[str, Case] = {
    "nothing of it trained": (llama, {}),
    "nothing of it trained, tied": (tied_llama, {}),
    "nothing of it trained, tied layers meant": (tied_llama, {"ensure_weight_tying": True}),
    "stored whole and tied, named otherwise": (
        gpt2,
        {"target_modules": ["c_attn"], "modules_to_save": ["wte"], "ensure_weight_tying": True},
    ),
    "nothing of it trained, named otherwise": (gpt2, {"target_modules": ["c_attn"]}),
    "stored whole": (llama, {"modules_to_save": ["embed_tokens", "lm_head"]}),
    "stored whole, named otherwise": (
        gpt2, {"target_modules": ["c_attn"], "modules_to_save": ["wte"]}
    ),
    "rows": (llama, {"trainable_token_indices": [61, 62]}),
    "factors": (llama, {"target_modules": ["embed_tokens", "q_proj"]}),
}  # fmt: skip


def resized(base: Callable[[], Any], folder: Path) -> Callable[[], Any]:
    """Give a base with three rows more than its own folder says, the same ones each time."""
    if not folder.exists():
        base().save_pretrained(folder)

    def give() -> Any:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        torch.manual_seed(7)
        model.resize_token_embeddings(64)
        return model.eval()

    return give


@quietly
@pytest.mark.parametrize("case", SAVED)
def test_what_was_saved_beside_the_adapter_is_saved_again(case: str, tmp_path: Path) -> None:
    base, settings = SAVED[case]
    grown = resized(base, tmp_path / "base")
    make(tmp_path / "a", grown(), settings, 0)
    superpose.save(superpose.load(tmp_path / "a"), tmp_path / "copy")
    before, after = (load_file(tmp_path / n / "adapter_model.safetensors") for n in ("a", "copy"))
    twice = (".original_module.", ".modules_to_save.")
    before = {name: x for name, x in before.items() if not any(t in name for t in twice)}
    assert before.keys() == after.keys()
    assert bool(superpose.load(tmp_path / "a").replacements) == case.startswith(("stored", "rows"))
    assert all(np.array_equal(before[n], after[n]) for n in before if "lora_" not in n)
    assert distance(grown, [(tmp_path / "a", 1.0)], tmp_path / "copy") < CLOSE


@quietly
@pytest.mark.parametrize("other", ["stored whole", "rows", "factors"])
def test_a_sum_is_right_with_the_resized_base_and_shares_of_its_rows_are_refused_without(
    other: str, tmp_path: Path
) -> None:
    """Factors ask for no row of the base: the copy that PEFT puts there is in the file."""
    grown = resized(llama, tmp_path / "base")
    parents = [(tmp_path / "0", 1.0), (tmp_path / "1", 0.5)]
    for number, (path, _) in enumerate(parents):
        make(path, grown(), SAVED[other][1] if number else {}, number)
    total = superpose.exact_sum([superpose.load(p) for p, _ in parents], [1.0, 0.5])
    small = Checkpoint.open(tmp_path / "base")
    if other == "factors":
        superpose.save(OnBase(small).of(total), tmp_path / "small")
        assert distance(grown, parents, tmp_path / "small") < CLOSE
    else:
        with pytest.raises(DifferentBase, match=r"Only the vocabulary differs: .* 3 tokens more"):
            OnBase(small).of(total)
    grown().save_pretrained(tmp_path / "grown")
    superpose.save(OnBase(Checkpoint.open(tmp_path / "grown")).of(total), tmp_path / "sum")
    assert distance(grown, parents, tmp_path / "sum") < CLOSE
