"""One weight under two names, from the command line: what is added, checked, proved and said."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.cli.conftest import Ended, Run
from tests.names.families import FAMILIES, changes, tiny, write

from superpose.errors import SuperposeWarning

NAMES = (
    "calls one weight `layers.0.self_attn.q_proj` that goes by `model.layers.0.self_attn.q_proj`"
)
FAMILY = "a model with its head and without"


@pytest.fixture
def model(tmp_path: Path) -> Any:
    model = tiny(FAMILY)
    model.save_pretrained(tmp_path / "base")
    g = np.random.default_rng(0)
    for name, way in (("lm", "causal"), ("emb", "bare")):
        (tensors, config), _ = FAMILIES[FAMILY].ways[way](g)
        base = {"base_model_name_or_path": str(tmp_path / "base")}
        write(tmp_path / name, tensors, **config, **base)
    return model


def warned(run: Run, match: str, *args: object) -> Ended:
    """Run a command that says this as a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", SuperposeWarning)
        ended = run(*args)
    assert match in ended.err
    return ended


def test_a_sum_of_two_spellings_is_one_delta_and_says_so(
    tmp_path: Path, run: Run, model: Any
) -> None:
    both = tmp_path / "both"
    weighted = [tmp_path / "lm", f"{tmp_path / 'emb'}:0.5"]
    ended = warned(run, NAMES, "add", *weighted, "-o", both)
    assert ended.code == 0
    assert f"read back: all 2 parts are found in {tmp_path / 'base'}" in ended.out
    assert all(
        ".model.model.layers" in name for name in load_file(both / "adapter_model.safetensors")
    )
    found = changes(model, both)
    assert sum(bool(np.any(change)) for change in found.values()) == 2
    proved = warned(run, NAMES, "verify", tmp_path / "base", *weighted, both)
    assert proved.code == 0


def test_check_sees_that_two_spellings_share_all_modules(
    tmp_path: Path, run: Run, model: Any
) -> None:
    ended = warned(run, NAMES, "check", tmp_path / "lm", tmp_path / "emb", "--json")
    (pair,) = json.loads(ended.out)["pairs"]
    assert [m["name"] for m in pair["modules"]] == [
        "model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"
    ]  # fmt: skip
    fail_on = ("--fail-on", "output>0.0001")
    gate = warned(run, NAMES, "check", tmp_path / "lm", tmp_path / "emb", *fail_on)
    assert gate.code == 1


def test_the_same_adapter_in_two_spellings_does_not_differ(
    tmp_path: Path, run: Run, model: Any
) -> None:
    lm = load_file(tmp_path / "lm/adapter_model.safetensors")
    renamed = {n.replace("model.model.layers", "model.layers"): x for n, x in lm.items()}
    write(
        tmp_path / "copy",
        {n.removeprefix("base_model.model."): x for n, x in renamed.items()},
        target_modules=["q_proj", "down_proj"],
    )
    assert warned(run, "one weight", "diff", tmp_path / "lm", tmp_path / "copy").code == 0


def test_a_file_that_holds_one_weight_twice_is_no_sum(tmp_path: Path, run: Run, model: Any) -> None:
    one, other = (load_file(tmp_path / n / "adapter_model.safetensors") for n in ("lm", "emb"))
    tensors = {n.removeprefix("base_model.model."): x for n, x in (one | other).items()}
    write(tmp_path / "twice", tensors, target_modules=["q_proj", "down_proj"])
    parents = [tmp_path / "lm", tmp_path / "emb"]
    ended = warned(run, NAMES, "verify", tmp_path / "base", *parents, tmp_path / "twice")
    assert ended.code == 2
    assert "two names of one weight" in ended.err


def test_what_the_base_does_not_take_is_said(tmp_path: Path, run: Run, model: Any) -> None:
    g = np.random.default_rng(1)
    tensors = {
        "model.layers.0.self_attn.q_prj.lora_A.weight": g.standard_normal((2, 16)),
        "model.layers.0.self_attn.q_prj.lora_B.weight": g.standard_normal((16, 2)),
    }
    base = {"base_model_name_or_path": str(tmp_path / "base"), "target_modules": ["q_prj"]}
    write(tmp_path / "typo", tensors, **base)
    ended = run("add", tmp_path / "lm", tmp_path / "typo", "-o", tmp_path / "sum", "--json")
    assert "q_prj` is not found" in ended.err
    read_back = json.loads(ended.out)["read_back"]
    assert list(read_back["missing"]) == ["model.layers.0.self_attn.q_prj"]


def test_the_base_decides_where_files_alone_do_not_tell(tmp_path: Path, run: Run) -> None:
    phi3 = tiny("fused layers")
    phi3.save_pretrained(tmp_path / "base")
    g = np.random.default_rng(0)
    ways = FAMILIES["fused layers"].ways
    expected: dict[str, Any] = {}
    for name, way in (("a", "v alone"), ("b", "q and up alone")):
        (tensors, config), dense = ways[way](g)
        write(tmp_path / name, tensors, **config)
        expected |= {p: expected.get(p, 0.0) + delta for p, delta in dense.items()}
    ended = run(
        "add", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "sum", "--base", tmp_path / "base"
    )
    assert ended.code == 0
    found = changes(phi3, tmp_path / "sum")
    for parameter, delta in expected.items():
        assert np.allclose(found[parameter], delta, atol=1e-5)
