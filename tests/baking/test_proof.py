"""A proof tells a sum from what is nearly one, in models and in adapters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ml_dtypes import bfloat16
from peft import PeftModel
from safetensors.numpy import load_file, save_file
from tests.baking.checkpoints import normal, write_checkpoint
from tests.baking.conftest import Bench, llama, mixtral, tied, told_by_peft

import superpose as sp
from superpose.adapter import Adapter, Delta, Part, Replacement, Stored
from superpose.baking import bake, prove_model, prove_sum
from superpose.errors import DoesNotHold, MissingBase

DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": bfloat16, "float64": np.float64}


def base_of(tmp_path: Path, dtype: str = "float32") -> Path:
    tensors = {
        f"{x}.weight": normal(64, 48, seed=i).astype(DTYPES[dtype]) for i, x in enumerate("abc")
    }
    return write_checkpoint(tmp_path / "base", {**tensors, "norm.weight": normal(48)})


def adapter(size: float = 0.05) -> Adapter:
    return Adapter({x: Delta.of(normal(64, 4, seed=5), normal(4, 48), size) for x in "ab"})


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_bake_writes_holds_to_half_a_unit_in_every_dtype(dtype: str, tmp_path: Path) -> None:
    base = base_of(tmp_path, dtype)
    bake(base, adapter(), tmp_path / "out")
    proof = prove_model(base, adapter(), tmp_path / "out")
    assert proof.holds
    assert (proof.checked, proof.changed) == (4, 2)
    assert proof.worst in ("a.weight", "b.weight")
    assert proof.error <= 0.5
    assert proof.lost is not None
    assert proof.lost < {"bfloat16": 0.1, "float16": 0.01}.get(dtype, 1e-5)
    if dtype in ("float16", "bfloat16"):
        assert proof.error > 0.4
        assert proof.lost > 1e-4
    proof.insist("out")


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_value_one_unit_off_is_found_and_named(dtype: str, tmp_path: Path) -> None:
    base = base_of(tmp_path, dtype)
    bake(base, adapter(), tmp_path / "out")
    path = tmp_path / "out" / "model.safetensors"
    tensors = load_file(path)
    value = tensors["b.weight"]
    raw = value.view(f"u{value.itemsize}")
    # In float32 and float64 what the arithmetic may cost comes first.
    raw[17, 3] += 1 if value.itemsize == 2 else 200
    save_file(tensors, path, {"format": "pt"})
    proof = prove_model(base, adapter(), tmp_path / "out")
    assert [f.name for f in proof.failures] == ["b.weight"]
    assert f"units in the last place of {dtype}" in proof.failures[0].reason
    with pytest.raises(DoesNotHold, match=r"(?s)1 of 4 tensors differ.*b\.weight"):
        proof.insist("out")


def test_an_untouched_tensor_must_be_the_bases_bit_for_bit(tmp_path: Path) -> None:
    base = base_of(tmp_path)
    bake(base, adapter(), tmp_path / "out")
    path = tmp_path / "out" / "model.safetensors"
    tensors = load_file(path)
    tensors["c.weight"].view(np.uint32)[63, 47] ^= 1
    del tensors["a.weight"]
    tensors["norm.weight"] = tensors["norm.weight"][:40].copy()
    save_file({**tensors, "extra": np.ones(2)}, path, {"format": "pt"})
    found = {f.name: f.reason for f in prove_model(base, adapter(), tmp_path / "out").failures}
    assert found == {
        "a.weight": "is missing",
        "c.weight": "is not the base's own",
        "norm.weight": "has shape (40,), not (48,)",
        "extra": "is neither in the base model nor in the sum",
    }


def test_the_sum_with_another_weight_does_not_hold(tmp_path: Path) -> None:
    base = base_of(tmp_path, "bfloat16")
    bake(base, adapter(), tmp_path / "out")
    proof = prove_model(base, 1.01 * adapter(), tmp_path / "out")
    assert {f.name for f in proof.failures} == {"a.weight", "b.weight"}


def test_a_converted_model_holds_each_value_rounded(tmp_path: Path) -> None:
    base = base_of(tmp_path)
    bake(base, adapter(), tmp_path / "out", dtype="bfloat16")
    assert prove_model(base, adapter(), tmp_path / "out").holds
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    tensors["c.weight"].view(np.uint16)[0, 0] += 1
    save_file(tensors, tmp_path / "out" / "model.safetensors", {"format": "pt"})
    failures = prove_model(base, adapter(), tmp_path / "out").failures
    assert [f.name for f in failures] == ["c.weight"]


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_in_the_base_is_so_in_a_converted_model_and_hides_nothing(
    odd: float, tmp_path: Path
) -> None:
    base = base_of(tmp_path)
    own = load_file(base / "model.safetensors")
    own["c.weight"][3, 3] = odd
    save_file(own, base / "model.safetensors", {"format": "pt"})
    bake(base, adapter(), tmp_path / "out", dtype="bfloat16")
    assert prove_model(base, adapter(), tmp_path / "out").holds
    path = tmp_path / "out" / "model.safetensors"
    written = load_file(path)
    for row, value, reason in ((3, 1.0, "is not finite from row 0"), (4, 9.0, "is off by up to")):
        wrong = {**written, "c.weight": written["c.weight"].copy()}
        wrong["c.weight"][row, 3] = value
        save_file(wrong, path, {"format": "pt"})
        (failure,) = prove_model(base, adapter(), tmp_path / "out").failures
        assert (failure.name, failure.reason[: len(reason)]) == ("c.weight", reason)


def test_a_changed_tensor_that_is_not_finite_or_no_longer_of_numbers_is_named(
    tmp_path: Path,
) -> None:
    base = base_of(tmp_path)
    bake(base, adapter(), tmp_path / "out")
    path = tmp_path / "out" / "model.safetensors"
    tensors = load_file(path)
    tensors["a.weight"][5, 5] = np.nan
    tensors["b.weight"] = tensors["b.weight"].astype(np.int32)
    save_file(tensors, path, {"format": "pt"})
    found = {f.name: f.reason for f in prove_model(base, adapter(), tmp_path / "out").failures}
    assert found == {"a.weight": "is not finite from row 0 on", "b.weight": "is I32, not F32"}


def test_untied_weights_that_the_configuration_still_ties_are_told(
    bench: Callable[[Callable[[], Any]], Bench],
) -> None:
    made = bench(tied)
    path = made.adapter("a", target_modules=["embed_tokens", "q_proj"])
    out = made.folder / "out"
    bake(made.base, sp.load(path), out)
    assert prove_model(made.base, sp.load(path), out).holds
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    (failure,) = prove_model(made.base, sp.load(path), out).failures
    assert failure.name == "config.json"


@pytest.mark.parametrize("model", [llama, mixtral])
def test_merging_one_after_the_other_in_bfloat16_is_told_from_the_sum(
    model: Callable[[], Any], bench: Callable[[Callable[[], Any]], Bench]
) -> None:
    """PEFT rounds after each: nobody sees it in float32, and in bfloat16 it is off by a unit."""
    for dtype, holds in ((torch.float32, True), (torch.bfloat16, False)):
        made = bench(lambda dtype=dtype: model().to(dtype))
        paths = [made.adapter(n, i, target_modules=["q_proj"]) for i, n in enumerate("ab")]
        with told_by_peft():
            merged = made.model()
            for path in paths:
                merged = PeftModel.from_pretrained(merged, str(path)).merge_and_unload()
            merged.save_pretrained(made.folder / f"merged-{dtype}")
        total = sum(sp.load(path) for path in paths)
        proof = prove_model(made.base, total, made.folder / f"merged-{dtype}")
        assert proof.holds is holds, proof
        assert proof.changed == 2
        assert all("q_proj" in failure.name for failure in proof.failures)


def parents(tmp_path: Path, write: Callable[..., Path]) -> list[Adapter]:
    return [sp.load(write(name, seed=i)) for i, name in enumerate("xy")]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_written_sum_holds_in_the_dtype_it_is_written_in(
    dtype: str, tmp_path: Path, write_adapter: Callable[..., Path]
) -> None:
    x, y = parents(tmp_path, write_adapter)
    sp.save(x - 0.5 * y, tmp_path / "out", dtype=dtype)
    proof = prove_sum(x - 0.5 * y, sp.load(tmp_path / "out"))
    assert proof.holds
    assert proof.checked == 2
    assert proof.error <= {"float32": 1e-6, "float16": 1e-3, "bfloat16": 1e-2}[dtype]


def test_other_factors_of_the_same_delta_hold_and_a_module_too_few_does_not(
    tmp_path: Path, write_adapter: Callable[..., Path]
) -> None:
    x, y = parents(tmp_path, write_adapter)
    total = x + y
    sp.save(total.compress(4), tmp_path / "same")
    assert prove_sum(total, sp.load(tmp_path / "same")).holds
    sp.save(total.compress(3), tmp_path / "rank3")
    approximation = prove_sum(total, sp.load(tmp_path / "rank3"))
    assert len(approximation.failures) == 2
    first = total.modules[0]
    less = Adapter({m: d for m, d in total.items() if m != first})
    proof = prove_sum(total, less)
    assert [f.name for f in proof.failures] == [first]
    assert proof.error == 1.0
    more = prove_sum(less, total)
    assert [f.name for f in more.failures] == [first]


def test_a_sum_that_cancels_is_compared_by_what_it_cancels(
    tmp_path: Path, write_adapter: Callable[..., Path]
) -> None:
    x, _ = parents(tmp_path, write_adapter)
    again = sp.load(write_adapter("again", seed=0))
    assert prove_sum(x - again, 0.0 * x).holds
    assert not prove_sum(x - again, x).holds


def test_what_is_stored_absolutely_is_compared_by_value_or_on_the_base(tmp_path: Path) -> None:
    base = base_of(tmp_path)
    name = "norm.weight"

    def stored(seed: int, weight: float = 1.0) -> Adapter:
        value = Part(weight, Stored(normal(48, seed=seed)))
        return Adapter({}, replacements={name: Replacement((value,), name, owner="norm")})

    both = stored(1, 0.5) + stored(2, 0.5)
    value = both.replacements[name].value()
    written = Adapter({}, replacements={name: Replacement((Part(1.0, Stored(value)),), name)})
    assert prove_sum(both, written).holds  # the weights sum to 1
    assert [f.name for f in prove_sum(both, stored(1)).failures] == [name]
    whole = stored(1, 0.3)
    with pytest.raises(MissingBase, match=r"`norm\.weight` is stored as it is"):
        prove_sum(whole, written)
    own = load_file(base / "model.safetensors")[name]
    value = own + 0.3 * (normal(48, seed=1) - own)
    same = Adapter({}, replacements={name: Replacement((Part(1.0, Stored(value)),), name)})
    assert prove_sum(whole, same, base).holds
    assert [f.name for f in prove_sum(whole, written, base).failures] == [name]
