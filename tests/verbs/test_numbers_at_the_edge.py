"""Adapters at the edge of the numbers: a figure, or an error by name; never a warning of NumPy."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from safetensors.numpy import save_file

import superpose
from superpose.compose import Svc
from superpose.errors import BadInput, BadSetting, SuperposeWarning
from superpose.files.json_values import without_nan
from superpose.report.page import render
from superpose.verbs.settings import Writing

MODULES = ("self_attn.q_proj", "self_attn.v_proj")
DTYPES = ("float16", "bfloat16", "float32", "float64")

alphas = st.sampled_from([0.0, 5e-324, 1e-300, 1e-150, 1e-30, 1.0, 1e30, 1e150, 1e300])
sides = st.sampled_from([0.0, 1e-320, 1e-300, 1e-170, 1e-40, 1e-7, 1.0, 1e4, 1e30, 1e150, 1e300])
task_weights = st.sampled_from([1.0, -1.0, 0.3, 0.0, 1e-300, 1e300])


def write(folder: Path, seed: int, alpha: float, b: float, a: float, dtype: str) -> str:
    """A PEFT folder of two modules, its factors times b and a as far as the dtype holds them."""
    folder.mkdir()
    rng, tensors = np.random.default_rng(seed), {}
    most = float(np.finfo(dtype).max)
    for module in MODULES:
        for name, shape, size in (("A", (2, 8), a), ("B", (8, 2), b)):
            drawn = np.clip(rng.uniform(-1.0, 1.0, shape) * size, -most, most)
            key = f"base_model.model.model.layers.0.{module}.lora_{name}.weight"
            tensors[key] = drawn.astype(dtype)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": alpha, "base_model_name_or_path": "org/x",
              "target_modules": ["q_proj", "v_proj"]}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(folder)


def answered(run: Callable[[], Any]) -> Any:
    """Give what comes out, None where superpose refuses by name; NumPy's complaints pass on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperposeWarning)
        try:
            return run()
        except BadInput:
            return None


def told(result: Any) -> None:
    """All that a result shows can be shown, and its JSON has no number that JSON has not."""
    if result is not None:
        assert repr(result)
        json.dumps(without_nan(result.to_json()), allow_nan=False)
        if hasattr(result, "page"):
            assert "<html" in render(result.page())


pairs = st.tuples(
    *[st.tuples(alphas, sides, sides, st.sampled_from(["float16", "float32", "float64"]))] * 2
)


@settings(max_examples=25)
@given(pairs)
def test_any_two_adapters_are_compared_or_refused(given: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        names = [write(Path(name) / f"x{n}", n, *each) for n, each in enumerate(given)]
        for found in (
            answered(lambda: superpose.info(*names)),
            answered(lambda: superpose.check(*names)),
            answered(lambda: superpose.diff(*names)),
            answered(lambda: superpose.compress(names, rank=1)),
        ):
            told(found)
        cosine = answered(lambda: superpose.cosine(*names))
        assert cosine is None or not abs(cosine) > 1.0


@settings(max_examples=25)
@given(pairs, st.tuples(task_weights, task_weights), st.sampled_from(DTYPES), st.booleans())
def test_any_sum_is_written_with_finite_factors_and_a_true_error_or_refused(
    given: Any, weights: Any, dtype: str, cut: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = [write(folder / f"x{n}", n, *each) for n, each in enumerate(given)]
        rank = 1 if cut else None
        writing = Writing(dtype=dtype)
        out = folder / "sum"
        found = answered(lambda: superpose.add(names, out, weights, rank=rank, writing=writing))
        assert (found is None) is not out.exists()
        if found is None:
            return
        told(found)
        for delta in answered(lambda: superpose.load(out)).values():
            for term in delta.terms:
                assert all(np.isfinite(np.asarray(x, np.float64)).all() for x in term.arrays)


@settings(max_examples=20)
@given(pairs)
def test_any_adapters_are_indexed_or_named_as_damaged(given: Any) -> None:
    pytest.importorskip("pyarrow")
    with tempfile.TemporaryDirectory() as name:
        library = Path(name) / "library"
        library.mkdir()
        names = [write(library / f"x{n}", n, *each) for n, each in enumerate(given)]
        index = Path(name) / "library.index"
        told(answered(lambda: superpose.index(library, index)))
        for found in (
            answered(lambda: superpose.check(index=index)),
            answered(lambda: superpose.dupes(index)),
            answered(lambda: superpose.near(names[0], index)),
            answered(lambda: superpose.unmix(names[0], index)),
        ):
            told(found)


def test_the_error_of_a_tiny_delta_cut_to_a_rank_in_float16_is_a_number(tmp_path: Path) -> None:
    """B was divided by 1e-150 in float32, which has no such number: the error was NaN."""
    names = [write(tmp_path / f"x{n}", n, 1e-300, 1.0, 1.0, "float16") for n in range(2)]
    with pytest.raises(BadInput, match="too small for float16"):
        superpose.add(names, tmp_path / "sum", rank=2)


@pytest.mark.parametrize("side", ["scaling", "factors"])
def test_what_float32_does_not_hold_is_named_where_a_model_takes_it_up(
    tiny_base: Path, question_files: dict[str, Path], tmp_path: Path, side: str
) -> None:
    alpha, dtype, size = (1e300, "float32", 1.0) if side == "scaling" else (2.0, "float64", 1e150)
    folder = Path(write(tmp_path / "large", 0, alpha, size, 1.0, dtype))
    tensors = {}
    for module in MODULES:
        out = 32 if module.endswith("q_proj") else 16
        for name, shape in (("A", (2, 32)), ("B", (out, 2))):
            key = f"base_model.model.model.layers.0.{module}.lora_{name}.weight"
            tensors[key] = np.full(shape, size if name == "B" else 1.0, dtype)
    save_file(tensors, folder / "adapter_model.safetensors")
    with pytest.raises(BadInput, match=r"large`: `.*q_proj` holds values too large for float32"):
        superpose.evaluate(tiny_base, [str(folder)], [question_files["sums"]])


def test_a_least_that_counts_beyond_all_others_is_refused() -> None:
    for alpha in (1e308, float("inf"), float("nan"), 0.0):
        with pytest.raises(BadSetting, match=r"alpha is .*; it must be above 0, and at most"):
            Svc(alpha=alpha)
