"""A sum of adapters of a library is taken apart: parents, weights, and what is from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from tests.library.making import moved, random_factors, write_factors

import superpose
from superpose.adapter import Adapter, Delta
from superpose.errors import BadSetting
from superpose.library.equations import equations_of
from superpose.library.unmixed import Unmixed

WEIGHTS = {"own-1": 0.7, "own-4": -1.3, "run-b": 0.4}


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of 24 adapters, four of which are checkpoints of one run, cosine 0.97 to 0.99."""
    top = tmp_path_factory.mktemp("stock")
    for number in range(20):
        write_factors(top / f"own-{number}", random_factors(number, rank=1 + number % 3))
    factors = random_factors(90, rank=2)
    for name in "abcd":
        write_factors(top / f"run-{name}", factors)
        factors = moved(factors, ord(name), 0.1)
    superpose.index(top, top.parent / f"{top.name}.index")
    return top


def asked(stock: Path, merged: Any, **options: Any) -> Unmixed:
    return superpose.unmix(merged, stock.parent / f"{stock.name}.index", **options)


def summed(stock: Path) -> Adapter:
    return sum(weight * superpose.load(stock / name) for name, weight in WEIGHTS.items())  # type: ignore[return-value]


def weights_of(found: Unmixed) -> dict[str, float]:
    return {parent.name: parent.weight for parent in found.parents}


KINDS: dict[str, tuple[Callable[[Adapter], Adapter], dict[str, str], float]] = {
    "exact": (lambda a: a, {}, 1e-6),
    "bfloat16": (lambda a: a, {"dtype": "bfloat16"}, 5e-3),
    "compressed": (lambda a: a.compress(3), {}, 1e-5),
    "compressed, bfloat16": (lambda a: a.compress(3), {"dtype": "bfloat16"}, 2e-2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_parents_and_weights_are_found_and_the_sum_is_proved(
    stock: Path, tmp_path: Path, kind: str
) -> None:
    change, writing, within = KINDS[kind]
    superpose.save(change(summed(stock)), tmp_path / "merged", **writing)  # type: ignore[arg-type]
    found = asked(stock, tmp_path / "merged")
    assert weights_of(found).keys() == WEIGHTS.keys()
    for parent in found.parents:
        assert parent.weight == pytest.approx(WEIGHTS[parent.name], abs=within)
        assert parent.weight_low <= WEIGHTS[parent.name] <= parent.weight_high
    assert found.complete, found.verdict
    assert found.difference < 2.0 * within
    assert ("rank-3" in found.of) == kind.startswith("compressed")


def test_a_part_from_elsewhere_is_said_with_its_share(stock: Path) -> None:
    foreign = Adapter({m: Delta.of(*f) for m, f in random_factors(777, rank=2).items()})
    whole = summed(stock).on_base(None) + foreign
    found = asked(stock, whole.on_base("org/tiny-llama"))
    assert weights_of(found).keys() == WEIGHTS.keys()
    assert not found.complete
    share = (foreign.norm() / whole.norm()) ** 2
    assert 1.0 - found.explained == pytest.approx(share, rel=0.3)
    assert "not from this library" in found.verdict


def test_an_adapter_that_is_not_from_the_library_has_no_parents(stock: Path) -> None:
    foreign = Adapter(
        {m: Delta.of(*f) for m, f in random_factors(778, rank=2).items()},
        base_model="org/tiny-llama",
    )
    found = asked(stock, foreign)
    assert found.parents == ()
    assert found.verdict.startswith("not from this library")


def test_an_adapter_of_the_library_itself_is_not_said_to_be_from_elsewhere(stock: Path) -> None:
    found = asked(stock, stock / "own-1")
    assert found.parents == ()
    assert found.verdict.startswith("is in this library itself, and none of")


def test_a_copy_in_the_library_is_named_beside_the_parent(stock: Path, tmp_path: Path) -> None:
    for name in ("own-1", "own-2", "own-4"):
        superpose.save(superpose.load(stock / name), tmp_path / "all" / name)
    superpose.save(2.0 * superpose.load(stock / "own-1"), tmp_path / "all" / "twin")
    superpose.index(tmp_path / "all", tmp_path / "i")
    merged = superpose.load(stock / "own-1") - superpose.load(stock / "own-4")
    found = superpose.unmix(merged, tmp_path / "i")
    (first,) = [parent for parent in found.parents if parent.name != "own-4"]
    assert {first.name, *first.alternatives} == {"own-1", "twin"}


def test_the_equations_hold_for_the_true_weights_of_a_compressed_sum(stock: Path) -> None:
    """As dense float64 has them: U U^T M = T = M V V^T, and the quadratic is their error."""
    names = ["own-1", "own-4", "run-b", "own-7"]
    parts = [superpose.load(stock / name) for name in names]
    target = summed(stock).compress(2)
    equations = equations_of(target, target.norm())
    equations.add((part, part.norm()) for part in parts)
    x = np.random.default_rng(0).standard_normal(len(parts))
    truth = 0.0
    for module, delta in target.items():
        T = _matrix(delta) / target.norm()
        U, s, Vt = np.linalg.svd(T)
        k = int((s > 1e-9).sum())
        E = sum(w * _matrix(p[module]) / p.norm() for w, p in zip(x, parts, strict=True)) - T
        truth += np.sum((U[:, :k].T @ E) ** 2) + np.sum((E @ Vt[:k].T) ** 2)
    ours = 2.0 - 2.0 * x @ equations.right + x @ equations.gram @ x
    assert ours == pytest.approx(truth, rel=1e-9)
    w = np.array([WEIGHTS.get(n, 0.0) for n in names])
    w *= np.array([part.norm() for part in parts]) / target.norm()
    assert 2.0 - 2.0 * w @ equations.right + w @ equations.gram @ w == pytest.approx(0.0, abs=1e-9)


def _matrix(delta: Delta) -> np.ndarray:
    return sum(t.coefficient * np.asarray(t.B, float) @ np.asarray(t.A, float) for t in delta.terms)  # type: ignore[return-value]


def test_a_baked_model_is_taken_apart_with_its_base(tmp_path: Path) -> None:
    """PEFT's own adapters of a tiny GPT-2, baked in bfloat16."""
    import peft
    import torch

    torch.manual_seed(0)
    config = transformers.GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=61)
    transformers.GPT2LMHeadModel(config).to(torch.bfloat16).save_pretrained(tmp_path / "base")
    for number in range(8):
        model = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "base", dtype=torch.float32)
        lora = peft.LoraConfig(r=2, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True)
        model = peft.get_peft_model(model, lora)
        for name, value in model.named_parameters():
            if "lora_" in name:
                value.data.normal_(0.0, 0.1)
        model.save_pretrained(tmp_path / "all" / f"p{number}")
    superpose.index(tmp_path / "all", tmp_path / "i")
    parts = [str(tmp_path / "all" / "p2"), f"{tmp_path / 'all' / 'p5'}:-0.8"]
    superpose.bake(tmp_path / "base", parts, tmp_path / "baked")
    found = superpose.unmix(tmp_path / "baked", tmp_path / "i", base=tmp_path / "base", rank=8)
    assert weights_of(found) == pytest.approx({"p2": 1.0, "p5": -0.8}, abs=0.02)
    for parent in found.parents:
        assert parent.weight_low <= {"p2": 1.0, "p5": -0.8}[parent.name] <= parent.weight_high
    assert found.complete, found.verdict
    with pytest.raises(BadSetting, match="needs base"):
        superpose.unmix(tmp_path / "all" / "p1", tmp_path / "i", rank=8)
