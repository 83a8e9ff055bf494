"""The cases of one weight under two names are what they say, and their right sums are right."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from benchmarks.exactness.cases import CASES, GROUPS, Case
from benchmarks.exactness.hosts import Host, load
from benchmarks.exactness.making import Made, Parent, write_case
from benchmarks.exactness.oracle import adapter_deltas, right_sum
from benchmarks.exactness.spellings import SPELLINGS
from numpy.typing import NDArray
from safetensors.numpy import load_file

Array = NDArray[np.floating]
PREFIX = "base_model.model."


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Made]:
    """Write the adapters of a case."""

    def write(name: str) -> Made:
        (case,) = (each for each in CASES if each.name == name)
        return write_case(case, tmp_path, tmp_path / "case")

    return write


def product(folder: str, module: str) -> Array:
    """Give 2 B A, which is the delta at rank 4 and alpha 8."""
    factors = load_file(Path(folder, "adapter_model.safetensors"))
    a, b = (factors[f"{PREFIX}{module}.lora_{side}.weight"].astype(np.float64) for side in "AB")
    return 2.0 * b @ a


def test_a_parent_without_a_head_adds_to_the_same_weights(made: Callable[[str], Made]) -> None:
    written = made("with a head, and without")
    first, second = written.task.adapters
    layer = "layers.1.self_attn.v_proj"
    right = right_sum(written)
    expected = product(first, f"model.{layer}") + product(second, layer)
    np.testing.assert_allclose(right.deltas[f"model.{layer}.weight"].numpy(), expected, atol=1e-14)
    assert "lm_head.weight" in right.deltas


def test_split_layers_add_to_the_rows_of_the_fused_one(made: Callable[[str], Made]) -> None:
    written = made("fused, and split")
    first, second = written.task.adapters
    deltas = right_sum(written).deltas
    for fused, parts in {
        "self_attn.qkv_proj": ("q_proj", "k_proj", "v_proj"),
        "mlp.gate_up_proj": ("gate_proj", "up_proj"),
    }.items():
        place = f"model.layers.0.{fused.partition('.')[0]}."
        rows = [product(second, place + part) for part in parts]
        expected = product(first, f"model.layers.0.{fused}") + np.concatenate(rows)
        found = deltas[f"model.layers.0.{fused}.weight"].numpy()
        np.testing.assert_allclose(found, expected, atol=1e-14)


def test_the_split_model_computes_what_the_fused_one_does(made: Callable[[str], Made]) -> None:
    import torch

    written = made("fused, and split")
    tokens = torch.arange(12)[None]
    fused, split = (load(parent.host, "float64")[0](tokens).logits for parent in written.parents)
    assert torch.allclose(fused, split, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["Mixtral", "Qwen3-MoE", "gpt-oss"])
def test_experts_a_layer_each_are_slices_of_the_stack(
    kind: str, made: Callable[[str], Made]
) -> None:
    """By NumPy from the respelled file, so that PEFT's conversion is held as well."""
    written = made(f"{kind}'s experts a layer each, and stacked")
    block, names, down = {
        "Mixtral": ("block_sparse_moe.experts.{}.", ("w1", "w3"), "w2"),
        "Qwen3-MoE": ("mlp.experts.{}.", ("gate_proj", "up_proj"), "down_proj"),
        "gpt-oss": ("mlp.experts.", ("gate_up_projs.{}",), "down_projs.{}"),
    }[kind]
    folder = written.task.adapters[0]
    found = adapter_deltas(written.parents[0].host, written.parents[0].path)
    for expert in range(4):
        place = "model.layers.0." + block.format(expert)
        rows = [product(folder, place + name.format(expert)) for name in names]
        gate_up, back = np.concatenate(rows), product(folder, place + down.format(expert))
        if kind == "gpt-oss":  # its stacks are (experts, in, out)
            gate_up, back = gate_up.T, back.T
        stacks = (found[f"model.layers.0.mlp.experts.{each}_proj"] for each in ("gate_up", "down"))
        for stack, expected in zip(stacks, (gate_up, back), strict=True):
            np.testing.assert_allclose(stack[expert].numpy(), expected, atol=1e-14)


@pytest.mark.parametrize(
    "case", [each for each in CASES if any(each.spellings)], ids=lambda case: case.name
)
def test_peft_loads_a_spelling_exactly_where_the_table_says_so(case: Case, tmp_path: Path) -> None:
    written = write_case(case, tmp_path, tmp_path / "case")
    for number, spelling in enumerate(case.spellings):
        if spelling:
            parent = written.parents[number]
            given = Path(written.task.adapters[number])
            assert (parent.path == str(given)) is SPELLINGS[spelling].loads
            assert loads(parent.host, given) is SPELLINGS[spelling].loads
            assert loads(parent.host, Path(parent.path))


def loads(host: Host, path: Path) -> bool:
    """Tell whether PEFT puts anything of an adapter on its model."""
    try:
        return any(bool(delta.any()) for delta in adapter_deltas(host, path).values())
    except (RuntimeError, ValueError):  # a shape without numbers; no such module
        return False


def test_what_is_written_counts_in_the_model_it_fits_best(made: Callable[[str], Made]) -> None:
    """A sum in either spelling is a right sum; a copy of one parent is wrong in both alike."""
    written = made("without a head, and with one")
    right = right_sum(written)
    assert [host.bare for host in right.hosts] == [True, False]
    with_head = Path(shutil.copytree(written.task.adapters[0], Path(written.task.out)))
    from safetensors.numpy import save_file

    weights = with_head / "adapter_model.safetensors"
    tensors = {key.replace(PREFIX, f"{PREFIX}model."): a for key, a in load_file(weights).items()}
    save_file(tensors, weights)
    errors = [right.error_of_adapter(path) for path in (written.task.adapters[0], with_head)]
    assert errors[0] == pytest.approx(errors[1], abs=1e-12)
    assert 0.3 < errors[0] < 0.99


def test_a_parent_of_which_peft_loads_nothing_is_no_oracle(made: Callable[[str], Made]) -> None:
    written = made("compiled, and not")
    host = written.parents[0].host
    silent = Made(written.task, (Parent(written.task.adapters[0], host),) * 2, host)
    with pytest.raises(ValueError, match="PEFT loads nothing"):
        right_sum(silent)


def test_a_lost_part_leaves_the_rest_of_the_file_as_it_was(made: Callable[[str], Made]) -> None:
    written = made("a head of shape (0,)")
    before, after = (
        load_file(Path(folder, "adapter_model.safetensors"))
        for folder in (written.parents[1].path, written.task.adapters[1])
    )
    assert {key for key in before if before[key].shape != after[key].shape} == {
        f"{PREFIX}lm_head.weight"
    }
    assert after[f"{PREFIX}lm_head.weight"].shape == (0,)


def test_every_group_has_cases_and_all_parents_name_the_base(made: Callable[[str], Made]) -> None:
    assert {case.group for case in CASES} == set(GROUPS)
    written = made("split, and fused")
    for folder in written.task.adapters:
        config = json.loads(Path(folder, "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == written.task.base
