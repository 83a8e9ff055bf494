"""Files that are damaged, something else, or more than a sum can hold: named, never misread."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings, strategies as st
from safetensors.torch import load_file, save_file

import superpose
from superpose.errors import BadInput, Refused, SuperposeError

from .conftest import WriteLora, lora

M = "lora_unet_mid_block_attentions_0_proj_in"
D = "unet.mid_block.attentions.0.proj_in"


def tensors(changes: Mapping[str, tuple[int, ...] | None]) -> dict[str, torch.Tensor]:
    """A module's two factors with these shapes put in; None leaves one out."""
    shapes: dict[str, tuple[int, ...] | None] = {
        f"{M}.lora_down.weight": (2, 4),
        f"{M}.lora_up.weight": (6, 2),
        **changes,
    }
    return {name: torch.ones(shape) for name, shape in shapes.items() if shape is not None}


DAMAGED: dict[str, tuple[dict[str, tuple[int, ...] | None], str]] = {
    "no up": (
        {f"{M}.lora_up.weight": None},
        f"tensor `{M}.lora_down.weight` has no partner: `{M}.lora_up.weight` is missing",
    ),
    "no down": (
        {f"{M}.lora_down.weight": None},
        f"tensor `{M}.lora_up.weight` has no partner: `{M}.lora_down.weight` is missing",
    ),
    "other ranks": ({f"{M}.lora_up.weight": (6, 3)}, f"`{M}.lora_up.weight` (6, 3) do not belong"),
    "an empty factor": ({f"{M}.lora_down.weight": (2, 0)}, "(2, 0)"),
    "a vector": ({f"{M}.lora_down.weight": (2,)}, "do not belong together"),
    "a matrix beside a kernel": ({f"{M}.lora_up.weight": (6, 2, 1, 1)}, "do not belong together"),
    "two kernels": (
        {f"{M}.lora_down.weight": (2, 4, 3, 3), f"{M}.lora_up.weight": (6, 2, 3, 3)},
        "do not belong together",
    ),
    "a middle of a matrix": ({f"{M}.lora_mid.weight": (2, 2)}, f"`{M}.lora_mid.weight` (2, 2)"),
    "a middle alone": ({"lora_unet_x.lora_mid.weight": (2, 2, 3, 3)}, "`lora_unet_x`: tensor"),
    "an alpha alone": ({"lora_unet_x.alpha": ()}, "`lora_unet_x.alpha` has no factors beside it"),
    "two kinds": ({f"{M}.diff": (6, 4)}, "the change of one weight twice, as lora and as diff"),
    "two biases": (
        {f"{M}.diff_b": (6,), f"{M}.b_norm": (6,)},
        f"the change of one bias twice: `{M}.diff_b`, `{M}.b_norm`",
    ),
    "a bias of another layer": ({f"{M}.lora_B.bias": (5,)}, f"`{M}.lora_B.bias` (5,)"),
    "a bias of a whole difference": (
        {
            f"{M}.lora_down.weight": None,
            f"{M}.lora_up.weight": None,
            f"{M}.diff": (6, 4),
            f"{M}.lora_B.bias": (6,),
        },
        f"`{M}.lora_B.bias` belongs to no factor",
    ),
    "a bias of two kinds": (
        {f"{M}.lora_B.bias": (6,), f"{M}.diff_b": (6,)},
        f"`{M}.lora_B.bias` belongs to no factor",
    ),
    "a bias of none": ({"lora_unet_x.lora_B.bias": (5,)}, "`lora_unet_x.lora_B.bias` has no"),
    "a bias that is a matrix": ({f"{M}.diff_b": (6, 1)}, f"`{M}.diff_b` (6, 1)"),
    "half a LoHa": ({"lora_unet_x.hada_w1_a": (6, 2)}, "`hada_w1_b` is missing"),
    "half a LoKr": ({"lora_unet_x.lokr_w1": (3, 2)}, "`lokr_w2_a` is missing"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_does_not_fit_together_is_named(tmp_path: Path, case: str) -> None:
    changes, message = DAMAGED[case]
    path = tmp_path / "damaged.safetensors"
    save_file(tensors(changes), path)
    with pytest.raises(BadInput, match=re.escape(message)) as caught:
        superpose.load(path)
    assert str(path) in str(caught.value)
    assert not isinstance(caught.value, Refused)


REFUSED = {
    f"{M}.dora_scale": "DoRA rescales",
    f"{D}.lora_magnitude_vector": "DoRA rescales",
    f"{M}.oft_blocks": "OFT multiplies",
    f"{M}.oft_diag": "OFT multiplies",
    f"{M}.on_input": "(IA)^3 multiplies",
    f"{M}.a1.weight": "GLoRA's update depends",
    f"{M}.up_list.0": "a part of a DyLoRA",
    f"{M}.set_weight": "a whole weight in place",
    f"{M}.scalar": "a trained scalar",
    "bundle_emb.cat.string_to_param.*": "an embedding (textual inversion)",
    f"{M}.lora_down.bias": "a bias of a factor",
    f"{D}.norm.weight": "a whole weight",
    f"{M}.something": "an unknown tensor",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_sum_cannot_hold_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.safetensors"
    save_file(tensors({name: (2,)}), path)
    with pytest.raises(Refused, match=re.escape(f"tensor `{name}`: {REFUSED[name]}")):
        superpose.load(path)


def test_every_reason_to_refuse_is_given_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file(tensors({"a.dora_scale": (2,), "b.dora_scale": (2,), "c.oft_diag": (2,)}), path)
    with pytest.raises(Refused, match=r"`a.dora_scale` and 1 more: DoRA(.|\n)*`c.oft_diag`: OFT"):
        superpose.load(path)


OTHERS = {
    "a model": ({"model.layers.0.weight": (2, 2)}, "is no LoRA of kohya's or diffusers'"),
    "nothing": ({}, "it holds no tensors"),
    "a PEFT folder's weights": (
        {
            "base_model.model.x.lora_A.weight": (2, 4),
            "base_model.model.x.lora_B.weight": (4, 2),
        },
        "weights of a PEFT folder",
    ),
    "two ways to name": (
        {f"{D}.lora_A.weight": (2, 4), f"{D}.lora_B.weight": (4, 2), f"{M}.diff": (2, 2)},
        "names its modules in two ways",
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_is_no_image_lora_is_told_what_it_is(tmp_path: Path, case: str) -> None:
    shapes, message = OTHERS[case]
    path = tmp_path / "other.safetensors"
    save_file({name: torch.ones(shape) for name, shape in shapes.items()}, path)
    with pytest.raises(BadInput, match=message):
        superpose.load(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_named(tmp_path: Path, value: float) -> None:
    path = tmp_path / "a.safetensors"
    found = tensors({})
    found[f"{M}.lora_up.weight"][1, 1] = value
    save_file(found, path)
    with pytest.raises(BadInput, match=rf"a.safetensors: tensor `{M}.lora_up.weight` holds NaN"):
        superpose.load(path)


def test_a_truncated_file_is_named(write_lora: WriteLora) -> None:
    path = write_lora("a")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadInput, match=r"a.safetensors: truncated"):
        superpose.load(path)


def test_whole_numbers_as_factors_are_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({name: tensor.to(torch.int64) for name, tensor in tensors({}).items()}, path)
    with pytest.raises(BadInput, match=r"`lora_.*weight` holds whole numbers"):
        superpose.load(path)


def test_an_adapter_that_adds_nothing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({name: torch.zeros_like(t) for name, t in lora(M, 4, 4, rank=2).items()}, path)
    with pytest.warns(UserWarning, match="every delta is zero"):
        superpose.load(path)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_file_is_read_or_bad_input_and_nothing_else(
    write_lora: WriteLora, data: st.DataObject
) -> None:
    path = write_lora("fuzzed", extra={"lora_unet_x.lokr_w1": torch.ones(2, 2),
                                       "lora_unet_x.lokr_w2": torch.ones(2, 2)})  # fmt: skip
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        kind = data.draw(st.sampled_from(["set", "cut", "insert"]))
        if kind == "set":
            raw[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del raw[at : at + data.draw(st.integers(1, 60))]
        else:
            raw[at:at] = data.draw(st.binary(min_size=1, max_size=20))
        if not raw:
            break
    path.write_bytes(raw)
    try:
        adapter = superpose.load(path)
    except SuperposeError:
        return
    assert all(np.isfinite(t.coefficient) for d in adapter.values() for t in d.terms)


@given(
    st.dictionaries(
        st.sampled_from(
            [f"{m}.{role}" for m in ("lora_unet_a", "unet.b", "c") for role in (
                "lora_down.weight", "lora_up.weight", "lora_mid.weight", "lora_A.weight", "alpha",
                "lora_B.weight", "lora_B.bias", "diff", "diff_b", "w_norm", "hada_w1_a", "lokr_w1",
                "lokr_w2", "processor.to_q_lora.down.weight", "processor.to_q_lora.up.weight",
            )]
        ),
        st.lists(st.integers(0, 3), max_size=5),
        max_size=6,
    )
)  # fmt: skip
@example({"unet.b.diff_b": [1]})
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.filterwarnings("ignore:.*passes it over")
def test_any_tensors_are_read_and_written_again_or_bad_input(
    tmp_path: Path, shapes: dict[str, list[int]]
) -> None:
    path, again = tmp_path / "any.safetensors", tmp_path / "again.safetensors"
    save_file({name: torch.ones(shape) for name, shape in shapes.items()}, path)
    try:
        adapter = superpose.load(path)
    except BadInput:
        return
    superpose.save(adapter, again, force=True)
    other = superpose.load(again)
    assert other.keys() == adapter.keys()
    assert load_file(again)
    assert (adapter - other).norm() <= 1e-6 * adapter.norm()
