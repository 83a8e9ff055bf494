"""Each kind of place lands in the base's tensor where the layer's own arithmetic has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.baking.checkpoints import normal, write_checkpoint

from superpose.adapter import Adapter, Delta, Part, Place, Replacement, Rescaled, Stored
from superpose.baking import bake
from superpose.errors import BadInput, DifferentBase, Refused
from superpose.files.checkpoint import Checkpoint
from superpose.lowrank import Term, dense

W = "block.layer.weight"


def changes(
    tmp_path: Path, tensors: dict[str, Any], adapter: Adapter, **config: Any
) -> dict[str, np.ndarray[Any, Any]]:
    """Bake, and give what changed of each tensor."""
    base = write_checkpoint(tmp_path / "base", tensors, **config)
    bake(base, adapter, tmp_path / "out")
    after = Checkpoint.open(tmp_path / "out")
    assert set(after.names) >= set(tensors)
    return {n: after.read(n).astype(float) - tensors[n].astype(float) for n in tensors}


def delta(out: int, into: int, seed: int = 1, place: Place | None = None) -> Delta:
    return Delta.of(normal(out, 3, seed=seed), normal(3, into, seed=seed + 50), 0.5, place)


def test_a_convolutions_kernel_is_flattened_and_its_groups_lie_one_below_the_other(
    tmp_path: Path,
) -> None:
    tensors = {W: normal(8, 3, 2, 2)}
    deltas = {}
    for group in range(2):
        place = Place("block.layer", kind="convolution", kernel=(2, 2), block=group, blocks=2)
        deltas[place.key] = delta(4, 12, seed=group, place=place)
    found = changes(tmp_path, tensors, Adapter(deltas))[W]
    right = np.concatenate([dense(d.terms).reshape(4, 3, 2, 2) for d in deltas.values()])
    assert np.allclose(found, right, atol=1e-6)


def test_a_fused_attention_projection_is_found_by_its_parameters_name(tmp_path: Path) -> None:
    place = Place("block.attn", "in_proj_weight")
    own = delta(12, 4, place=place)
    tensors = {"block.attn.in_proj_weight": normal(12, 4)}
    found = changes(tmp_path, tensors, Adapter({place.key: own}))
    assert np.allclose(found["block.attn.in_proj_weight"], dense(own.terms), atol=1e-6)


def test_pooled_inputs_are_unfolded_where_the_layer_has_them_all(tmp_path: Path) -> None:
    place = Place("block.layer", pooled=4)
    own = delta(6, 2, place=place)
    found = changes(tmp_path, {W: normal(6, 8)}, Adapter({"block.layer": own}))[W]
    assert np.allclose(found, np.repeat(dense(own.terms) * 2 / 4, 4, axis=1), atol=1e-6)


def test_a_flag_for_pooled_inputs_that_the_layer_does_not_have_means_nothing(
    tmp_path: Path,
) -> None:
    own = delta(6, 8, place=Place("block.layer", pooled=4))
    found = changes(tmp_path, {W: normal(6, 8)}, Adapter({"block.layer": own}))[W]
    assert np.allclose(found, dense(own.terms), atol=1e-6)


@pytest.mark.parametrize("model_type", ["qwen3_5_moe", "gpt_oss"])
@pytest.mark.parametrize("stored", ["stack", "turned"])
def test_experts_land_in_a_stack_whichever_way_round_it_is_kept(
    stored: str, model_type: str, tmp_path: Path
) -> None:
    """The shape tells, where it can."""
    name = "model.layers.0.mlp.experts.gate_up_proj"
    shape = (2, 6, 4) if stored == "stack" else (2, 4, 6)
    deltas = experts(6, 4)
    found = changes(tmp_path, {name: normal(*shape)}, Adapter(deltas), model_type=model_type)[name]
    for expert, own in enumerate(deltas.values()):
        right = dense(own.terms)
        assert np.allclose(found[expert], right if stored == "stack" else right.T, atol=1e-6)


def test_square_experts_lie_as_the_architecture_says_or_are_refused(tmp_path: Path) -> None:
    name = "model.layers.0.mlp.experts.gate_up_proj"
    deltas = experts(4, 4)
    for kind, turned in (("gpt_oss", True), ("qwen3_5_moe", False)):
        found = changes(tmp_path / kind, {name: normal(2, 4, 4)}, Adapter(deltas), model_type=kind)[
            name
        ]
        first = dense(next(iter(deltas.values())).terms)
        assert np.allclose(found[0], first.T if turned else first, atol=1e-6)
    with pytest.raises(Refused, match="which way round"):
        changes(tmp_path / "x", {name: normal(2, 4, 4)}, Adapter(deltas), model_type="llama4_text")


def test_an_expert_of_its_own_is_found_in_a_stack(tmp_path: Path) -> None:
    stem = "model.layers.0.mlp.experts"
    tensors = {f"{stem}.gate_up_proj": normal(3, 10, 4), f"{stem}.down_proj": normal(3, 4, 5)}
    deltas = {f"{stem}.2.up_proj": delta(5, 4), f"{stem}.0.down_proj": delta(4, 5)}
    found = changes(tmp_path, tensors, Adapter(deltas))
    up = found[f"{stem}.gate_up_proj"]
    assert np.allclose(up[2, 5:], dense(deltas[f"{stem}.2.up_proj"].terms), atol=1e-6)
    assert not up[:2].any()
    assert not up[2, :5].any()
    down = found[f"{stem}.down_proj"]
    assert np.allclose(down[0], dense(deltas[f"{stem}.0.down_proj"].terms), atol=1e-6)


def test_a_stack_stored_absolutely_is_cut_into_the_files_experts(tmp_path: Path) -> None:
    stem = "model.layers.0.mlp.experts"
    tensors = {}
    for expert in range(2):
        tensors[f"{stem}.{expert}.gate_proj.weight"] = normal(3, 4, seed=expert)
        tensors[f"{stem}.{expert}.up_proj.weight"] = normal(3, 4, seed=expert + 5)
    whole = normal(2, 6, 4, seed=9)
    replaced = Replacement((Part(1.0, Stored(whole)),), f"{stem}.gate_up_proj", owner=stem)
    base = write_checkpoint(tmp_path / "base", tensors)
    bake(base, Adapter({}, replacements={replaced.key: replaced}), tmp_path / "out")
    after = Checkpoint.open(tmp_path / "out")
    assert np.array_equal(after.read(f"{stem}.1.gate_proj.weight"), whole[1, :3])
    assert np.array_equal(after.read(f"{stem}.0.up_proj.weight"), whole[0, 3:])


@pytest.mark.parametrize("model_type", ["llama", "gpt2"])
def test_a_weight_with_new_lengths_is_rescaled_output_by_output(
    model_type: str, tmp_path: Path
) -> None:
    """DoRA, on a linear layer and on a Conv1D, whose outputs are the tensor's columns."""
    module = "h.0.attn.c_proj"
    base = normal(5, 4)
    lengths, term = np.abs(normal(5, seed=3)) + 1, Term(0.7, normal(5, 2), normal(2, 4, seed=8))
    value = Rescaled(lengths, (term,))
    place = Place(module)
    replaced = Replacement((Part(0.5, value),), f"{module}.weight", place=place)
    tensors = {f"{module}.weight": base.T.copy() if model_type == "gpt2" else base}
    adapter = Adapter({}, replacements={replaced.key: replaced})
    found = changes(tmp_path, tensors, adapter, model_type=model_type)[f"{module}.weight"]
    right = 0.5 * (value.at(base) - base)
    assert np.allclose(found, right.T if model_type == "gpt2" else right, atol=1e-6)


def test_rows_and_deltas_of_one_tensor_are_added_each_to_the_bases_own(tmp_path: Path) -> None:
    name = "model.embed_tokens.weight"
    base, row = normal(6, 4), normal(4, seed=2)
    replaced = Replacement((Part(2.0, Stored(row)),), name, row=3)
    own = delta(4, 6, place=Place("model.embed_tokens", kind="embedding"))
    adapter = Adapter({"model.embed_tokens": own}, replacements={replaced.key: replaced})
    tensors = {name: base, "lm_head.weight": normal(6, 4, seed=4)}
    found = changes(tmp_path, tensors, adapter, tie_word_embeddings=False)
    right = dense(own.terms).T.astype(float)
    right[3] += 2.0 * (row - base[3])
    assert np.allclose(found[name], right, atol=1e-6)
    assert not found["lm_head.weight"].any()


def test_a_head_that_the_base_does_not_have_comes_with_the_adapter(tmp_path: Path) -> None:
    head = normal(3, 4)
    replaced = Replacement((Part(1.0, Stored(head)),), "score.weight", owner="score")
    base = write_checkpoint(tmp_path / "base", {W: normal(4, 4)})
    baked = bake(base, Adapter({}, replacements={replaced.key: replaced}), tmp_path / "out")
    assert baked.new == ("score.weight",)
    assert np.array_equal(Checkpoint.open(tmp_path / "out").read("score.weight"), head)
    half = 0.5 * Adapter({}, replacements={replaced.key: replaced})
    with pytest.raises(BadInput, match=r"`score\.weight` is a head that .* does not have"):
        bake(base, half, tmp_path / "half")


@pytest.mark.parametrize(
    ("adapter", "error", "said"),
    [
        (Adapter({"block.other": delta(4, 4)}), BadInput, "`block.other.weight`, and .* holds no"),
        (Adapter({"block.layer": delta(4, 5)}), DifferentBase, r"\(4, 5\) in the adapter and"),
        (
            Adapter({"block.layer.bias": delta(4, 1, place=Place("block.layer", "bias", "bias"))}),
            BadInput,
            "has no such bias",
        ),
        (Adapter({"block.layer": delta(4, 4)}, format="kohya"), Refused, "is kohya's"),
        (
            Adapter({"block.layer": delta(4, 4)}, settings={"layer_replication": ((0, 2),)}),
            Refused,
            "layer_replication",
        ),
        (Adapter({"block.whole": delta(4, 4)}), Refused, "is I64, to which no delta"),
        (
            Adapter({"block.layer": delta(4, 4)}, copies={W: normal(4, 4, seed=3)}),
            DifferentBase,
            "was saved with another `block.layer.weight`",
        ),
    ],
)
def test_what_fits_nothing_in_the_base_is_an_error_that_names_it(
    adapter: Adapter, error: type[Exception], said: str, tmp_path: Path
) -> None:
    tensors = {W: normal(4, 4), "block.whole.weight": np.zeros((4, 4), np.int64)}
    base = write_checkpoint(tmp_path / "base", tensors)
    with pytest.raises(error, match=said):
        bake(base, adapter, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def experts(out: int, into: int) -> dict[str, Delta]:
    """Give two experts' deltas, by key."""
    places = [
        Place("model.layers.0.mlp.experts", "gate_up_proj", "experts", block=e, blocks=2)
        for e in range(2)
    ]
    return {p.key: delta(out, into, seed=p.block, place=p) for p in places}
