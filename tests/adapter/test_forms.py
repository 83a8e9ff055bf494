"""One layer in two forms: fused and apart, experts alone and in a stack, one tower and both."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.baking.checkpoints import normal, write_checkpoint

from superpose.adapter import Adapter, Delta, Part, Place, Replacement, Stored
from superpose.baking.found import tree_of_base
from superpose.compose import exact_sum
from superpose.errors import DifferentBase, Refused, SuperposeWarning
from superpose.files.checkpoint import Checkpoint
from superpose.lowrank import dense
from superpose.names.tree import Tree

Build = Callable[..., Adapter]

LAYER = "model.layers.0.self_attn"
HEIGHTS = {"q_proj": 4, "k_proj": 2, "v_proj": 2}


def stored(tensor: str, *shape: int) -> dict[str, Replacement]:
    return {tensor: Replacement((Part(1.0, Stored(np.ones(shape))),), tensor)}


def fused(build: Build, rows: int = 8, name: str = "fused") -> Adapter:
    return build(name, 1, {f"{LAYER}.qkv_proj": (rows, 5, 2), "model.layers.0.mlp.down": (5, 3, 1)})


def apart(build: Build, **heights: int) -> Adapter:
    wanted = {f"{LAYER}.{part}": (rows, 5, 2) for part, rows in (heights or HEIGHTS).items()}
    return build("apart", 2, wanted)


def base_of(folder: Path, fused_there: bool, layer: str = "self_attn") -> Tree:
    """The names of a base model that has the layer in one form, or another layer alone."""
    parts = {"qkv_proj": 8} if fused_there else HEIGHTS
    names = {f"model.layers.0.{layer}.{part}.weight": normal(n, 5) for part, n in parts.items()}
    return tree_of_base(Checkpoint.open(write_checkpoint(folder / "base", names)))


def expected(oracle: Callable[[Adapter], dict[str, Any]], one: Adapter, two: Adapter) -> Any:
    """The rows of q, k and v of the sum, one below the other."""
    parts = oracle(two)
    return oracle(one)[f"{LAYER}.qkv_proj"] + np.concatenate(
        [parts[f"{LAYER}.{part}"] for part in HEIGHTS]
    )


@pytest.mark.parametrize("fused_there", [True, False])
@pytest.mark.parametrize("fused_first", [True, False])
def test_the_base_decides_whether_a_layer_is_fused(
    tmp_path: Path, build: Build, oracle: Any, fused_there: bool, fused_first: bool
) -> None:
    pair = [fused(build), apart(build)]
    given = pair if fused_first else pair[::-1]
    found = oracle(exact_sum(given, tree=base_of(tmp_path, fused_there)))
    names = ["qkv_proj"] if fused_there else list(HEIGHTS)
    assert {key.rpartition(".")[2] for key in found} == {*names, "down"}
    rows = np.concatenate([found[f"{LAYER}.{name}"] for name in names])
    np.testing.assert_allclose(rows, expected(oracle, *pair), rtol=1e-6)


@pytest.mark.parametrize("fused_first", [True, False])
def test_without_the_layer_in_the_base_the_first_adapter_decides(
    tmp_path: Path, build: Build, oracle: Any, fused_first: bool
) -> None:
    pair = [fused(build), apart(build)]
    tree = base_of(tmp_path, True, "another")
    found = oracle(exact_sum(pair if fused_first else pair[::-1], tree=tree))
    names = ["qkv_proj"] if fused_first else list(HEIGHTS)
    rows = np.concatenate([found[f"{LAYER}.{name}"] for name in names])
    np.testing.assert_allclose(rows, expected(oracle, *pair), rtol=1e-6)


@pytest.mark.parametrize("fused_first", [True, False])
def test_an_adapter_with_both_forms_of_a_layer_loses_neither(
    build: Build, oracle: Any, fused_first: bool
) -> None:
    """Wherever the own part stands in the file, before or behind the fused layer."""
    whole, parts = fused(build), apart(build)
    both = {**whole, **parts} if fused_first else {**parts, **whole}
    found = oracle(exact_sum([parts, Adapter(both, "both")]))
    rows = np.concatenate([found[f"{LAYER}.{name}"] for name in HEIGHTS])
    own = np.concatenate([oracle(parts)[f"{LAYER}.{name}"] for name in HEIGHTS])
    np.testing.assert_allclose(rows, expected(oracle, whole, parts) + own, rtol=1e-6)


def test_heights_that_do_not_fit_are_another_base(build: Build) -> None:
    with pytest.raises(DifferentBase) as error:
        exact_sum([fused(build, 9), apart(build)])
    assert f"`{LAYER}.qkv_proj` has 9 rows in one adapter, and its parts have" in str(error.value)
    assert "{'q_proj': 4, 'k_proj': 2, 'v_proj': 2} in another" in str(error.value)


@pytest.mark.parametrize("keeper", ["fused", "apart"])
def test_a_stored_tensor_of_a_layer_in_another_form_is_refused_by_name(
    build: Build, keeper: str
) -> None:
    """Only the adapter whose form changes has to take it apart, or put it together."""
    whole, parts = fused(build), apart(build)
    bias = {"fused": f"{LAYER}.qkv_proj.bias", "apart": f"{LAYER}.k_proj.bias"}[keeper]
    changed, other = (whole, parts) if keeper == "fused" else (parts, whole)
    changed = replace(changed, replacements=stored(bias, 8) | stored("model.norm.weight", 5))
    with pytest.raises(Refused, match=re.escape(f"`{bias}` is stored as it is in `{keeper}`")):
        exact_sum([other, changed])
    passed = replace(other, replacements=stored("model.norm.weight", 5))
    assert (
        "model.norm.weight" in exact_sum([passed, replace(changed, replacements={})]).replacements
    )


EXPERTS = "model.layers.0.mlp.experts"


def stack(rows: int = 6, columns: int = 5, parameter: str = "gate_up_proj") -> Adapter:
    places = [Place(EXPERTS, parameter, "experts", block=n, blocks=2) for n in range(2)]
    delta = Delta.of(normal(rows, 2), normal(2, columns, seed=1))
    return Adapter({p.key: replace(delta, place=p) for p in places}, "stack", "org/base")


@pytest.mark.parametrize(
    ("expert", "shape"), [(2, (3, 5)), (0, (4, 5))], ids=["no such expert", "other rows"]
)
def test_an_expert_that_does_not_fit_the_stack_is_another_base(
    build: Build, expert: int, shape: tuple[int, int]
) -> None:
    key = f"{EXPERTS}.{expert}.gate_proj"
    single = build("single", 0, {key: (*shape, 2)}, base_model="org/base")
    said = re.escape(
        f"`{key}` of `single` has shape {shape}, and the stack of 2 experts "
        f"`{EXPERTS}.gate_up_proj` (6, 5) in another adapter"
    )
    with pytest.raises(DifferentBase, match=said):
        exact_sum([stack(), single])


def test_half_of_a_stack_of_gpt_oss_is_refused_and_down_is_not(build: Build) -> None:
    base = "openai/gpt-oss-20b"
    half = build("half", 0, {f"{EXPERTS}.1.gate_proj": (3, 5, 2)}, base_model=base)
    with pytest.raises(Refused, match="whose rows gpt-oss keeps in turn, gate and up"):
        exact_sum([replace(stack(), base_model=base), half])
    down = build("down", 0, {f"{EXPERTS}.1.down_proj": (6, 5, 2)}, base_model=base)
    total = exact_sum([replace(stack(parameter="down_proj"), base_model=base), down])
    (second,) = [d for d in total.values() if d.place is not None and d.place.block == 1]
    whole = normal(6, 2) @ normal(2, 5, seed=1)
    (term,) = down[f"{EXPERTS}.1.down_proj"].terms
    np.testing.assert_allclose(
        dense(second.terms), whole + term.coefficient * term.B @ term.A, rtol=1e-5
    )


def clip(build: Build, name: str, start: str, seed: int = 0, rows: int = 6, **made: Any) -> Adapter:
    modules = {f"{start}encoder.layers.0.self_attn.q_proj": (rows, 5, 2)}
    return build(name, seed, modules, settings=made, format="peft")


def text(build: Build, **made: Any) -> Adapter:
    return clip(build, "text", "", 1, **made)


def test_a_tower_that_its_class_tells_goes_under_the_whole_models_names(build: Build) -> None:
    mapping = {"base_model_class": "CLIPTextModel", "parent_library": "transformers.x"}
    vision = clip(build, "vision", "vision_model.", rows=7)
    with pytest.warns(SuperposeWarning, match="taken for the same"):
        total = exact_sum([vision, text(build, auto_mapping=mapping)])
    assert {key.partition(".")[0] for key in total} == {"vision_model", "text_model"}


def test_a_tower_that_nothing_tells_is_refused_where_its_shapes_are_the_other_towers(
    build: Build,
) -> None:
    vision = clip(build, "vision", "vision_model.")
    with pytest.raises(Refused) as error:
        exact_sum([vision, text(build)])
    assert "`text` says `encoder.layers.0.self_attn.q_proj`" in str(error.value)
    assert "`vision` `vision_model.encoder.layers.0.self_attn.q_proj`" in str(error.value)


def test_a_tower_that_nothing_tells_keeps_its_names_where_no_shape_is_the_other_towers(
    build: Build,
) -> None:
    vision = clip(build, "vision", "vision_model.", rows=7)
    total = exact_sum([vision, text(build)])
    assert {key.partition(".")[0] for key in total} == {"vision_model", "encoder"}


def test_one_weight_that_is_stored_under_two_names_is_refused(build: Build) -> None:
    names = ["model.norm.weight", "model.extra.weight"]
    twice = build(replacements=stored(names[0], 5) | stored(names[1], 5))
    with pytest.raises(Refused) as error:
        twice.renamed(lambda name: name.replace("extra", "norm"))
    for name in names:
        assert f"`{name}`" in str(error.value)
    assert "two names of one weight" in str(error.value)
