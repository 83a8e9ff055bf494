"""What a dtype makes of a small sum is said, and a sum of which nothing is left is not written."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from peft.utils.other import get_pattern_key

import superpose
from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, SuperposeWarning
from superpose.formats.rounding import loss
from superpose.lowrank import Term

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter


def adapter(dtype: str, size: float = 0.05) -> Adapter:
    rng = np.random.default_rng(3)
    B, A = (size * rng.standard_normal(shape) for shape in ((30, 4), (4, 20)))
    return Adapter({"q_proj": Delta.of(B.astype(dtype), A.astype(dtype))}, "a")


def test_a_sum_that_float16_holds_badly_is_a_warning_with_the_way_out(tmp_path: Path) -> None:
    with pytest.warns(SuperposeWarning, match=r"float16 is too coarse.*--dtype float32"):
        written = superpose.save(1e-6 * adapter("float16"), tmp_path / "sum")
    assert written.rounding_error > 0.1


@pytest.mark.parametrize("weight", [1e-9, 1e-60, 1e-300])
def test_a_sum_that_float16_makes_all_zero_is_refused(tmp_path: Path, weight: float) -> None:
    with pytest.raises(BadInput, match="too small for float16") as caught:
        superpose.save(weight * adapter("float16"), tmp_path / "sum")
    assert "--dtype float32" in str(caught.value.hint)
    assert not (tmp_path / "sum").exists()


@pytest.mark.parametrize("weight", [1e-60, 1e-160, 1e-300])
def test_a_sum_that_float32_makes_all_zero_is_refused(tmp_path: Path, weight: float) -> None:
    with pytest.raises(BadInput, match="too small for float32") as caught:
        superpose.save(weight * adapter("float32"), tmp_path / "sum")
    assert "--dtype float64" in str(caught.value.hint)


def test_inputs_that_become_all_zero_are_refused_too(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="too small for float16"):
        superpose.save(adapter("float32", 1e-12), tmp_path / "sum", dtype="float16")


def test_a_tiny_sum_is_written_in_a_dtype_that_holds_it(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = superpose.save(1e-200 * adapter("float32"), tmp_path / "sum", dtype="float64")
    assert written.rounding_error < 1e-15


def test_a_sum_that_is_zero_is_written_as_that(tmp_path: Path) -> None:
    x = adapter("float16")
    assert superpose.save(x - x, tmp_path / "sum").rounding_error == 0.0


@pytest.mark.parametrize("size", [1e-300, 1e-120, 1.0, 1e120])
@pytest.mark.parametrize("same_inputs", [True, False])
def test_the_loss_is_measured_alike_at_every_size(size: float, same_inputs: bool) -> None:
    rng = np.random.default_rng(5)
    B, A = rng.standard_normal((6, 2)), rng.standard_normal((2, 5))
    E = 0.25 * rng.standard_normal(B.shape)
    found = loss(Term(1.0, size * B, A), Term(1.0, size * (B + E), A if same_inputs else A + 0.0))
    assert found.exact is not None
    assert found.lost / size == pytest.approx(np.linalg.norm(E @ A))
    assert found.exact / size == pytest.approx(np.linalg.norm(B @ A))


ODD = ("m.a+b.q", "m.(x).v", "m.[0]*.q", "m.a b.k", "m.a-b^c$.q", "m.plain.v")


def test_compact_patterns_mean_their_module_alone_whatever_its_name_holds(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(7)
    deltas = {
        name: Delta.of(rng.standard_normal((4, rank)), rng.standard_normal((rank, 4)))
        for rank, name in enumerate(ODD, start=1)
    }
    superpose.save(Adapter(deltas, "odd"), tmp_path / "sum", compact=True)
    config: dict[str, Any] = json.loads((tmp_path / "sum/adapter_config.json").read_text())
    pattern = config["rank_pattern"]
    for rank, name in enumerate(ODD, start=1):
        assert pattern.get(get_pattern_key(pattern.keys(), name), config["r"]) == rank
    again = superpose.load(tmp_path / "sum")
    assert {name: delta.rank for name, delta in again.items()} == {
        name: rank for rank, name in enumerate(ODD, start=1)
    }


def test_an_alpha_of_zero_is_not_blamed_on_lora_b(write_adapter: WriteAdapter) -> None:
    with pytest.warns(SuperposeWarning, match="lora_alpha is 0, so the scaling is zero"):
        superpose.load(write_adapter("a", alpha=0))
