"""What an adapter has no place for in the base's files, or nobody can tell, is refused by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.baking.checkpoints import normal, write_checkpoint

from superpose.adapter import Adapter, Delta, Part, Place, Replacement, Stored
from superpose.baking import bake, prove_model
from superpose.errors import BadInput, DifferentBase, Refused
from superpose.files.checkpoint import Checkpoint
from superpose.lowrank import dense

STEM = "model.layers.0.mlp.experts"
WORDS = "model.embed_tokens.weight"


def delta(out: int, into: int, place: Place | None = None) -> Delta:
    return Delta.of(normal(out, 2, seed=1), normal(2, into, seed=2), 0.5, place)


def stacked(out: int, into: int, parameter: str = "gate_up_proj") -> Adapter:
    place = Place(STEM, parameter, "experts", block=1, blocks=2)
    return Adapter({place.key: delta(out, into, place)})


def stored(tensor: str, *shape: int, row: int | None = None, weight: float = 1.0) -> Adapter:
    one = Replacement((Part(weight, Stored(normal(*shape, seed=3))),), tensor, row=row)
    return Adapter({}, replacements={one.key: one})


def apart(*parts: str, columns: int = 4, experts: int = 2) -> dict[str, Any]:
    return {
        f"{STEM}.{e}.{part}.weight": normal(3, columns, seed=e)
        for e in range(experts)
        for part in parts
    }


GATE_UP, W = ("gate_proj", "up_proj"), ("w1", "w3")


@pytest.mark.parametrize(
    ("tensors", "adapter", "error", "said"),
    [
        (apart(*GATE_UP), stacked(6, 5), DifferentBase, "(6, 5) in the adapter and (6, 4)"),
        (apart("gate_proj"), stacked(6, 4), BadInput, f"`{STEM}.gate_up_proj`"),
        (
            {f"{STEM}.gate_up_proj": normal(2, 6, 4)},
            Adapter({f"{STEM}.1.gate_proj": delta(3, 5)}),
            DifferentBase,
            "(3, 5) in the adapter and (6, 4)",
        ),
        (
            {f"{STEM}.gate_up_proj": normal(6, 4)},
            Adapter({f"{STEM}.1.gate_proj": delta(3, 4)}),
            BadInput,
            f"`{STEM}.1.gate_proj.weight`",
        ),
        (
            apart(*GATE_UP),
            stored(f"{STEM}.gate_up_proj", 2, 6, 5),
            DifferentBase,
            "(2, 6, 5) in the adapter and (3, 4)",
        ),
        (
            apart(*GATE_UP),
            stored(f"{STEM}.gate_up_proj", 2, 8, 4),
            BadInput,
            f"`{STEM}.gate_up_proj`",
        ),
        (
            apart(*GATE_UP, experts=1),
            stored(f"{STEM}.gate_up_proj", 2, 6, 4),
            BadInput,
            f"`{STEM}.gate_up_proj`",
        ),
        ({"x.weight": normal(4, 4)}, stored("x.weight", 4, 5), DifferentBase, "(4, 5) in the"),
        (
            {WORDS: normal(6, 4)},
            stored(WORDS, 4, row=6),
            Refused,
            f"`{WORDS}[6]` is a trained row beyond the 6 of the base model",
        ),
    ],
    ids=["expert's columns", "half of the parts", "an expert's columns in a stack", "no stack",
         "a stack's columns", "a stack's rows", "a stack's experts", "columns", "row"],
)  # fmt: skip
def test_what_has_no_place_in_the_files_is_named_with_both_shapes(
    tmp_path: Path, tensors: dict[str, Any], adapter: Adapter, error: type[Exception], said: str
) -> None:
    base = write_checkpoint(tmp_path / "base", tensors)
    with pytest.raises(error, match=re.escape(said)):
        bake(base, adapter, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("spelling", [GATE_UP, W], ids=["gate and up", "w1 and w3"])
def test_a_stacks_delta_lands_in_experts_whatever_their_parts_are_called(
    tmp_path: Path, spelling: tuple[str, str]
) -> None:
    tensors, adapter = apart(*spelling), stacked(6, 4)
    bake(write_checkpoint(tmp_path / "base", tensors), adapter, tmp_path / "out")
    after = Checkpoint.open(tmp_path / "out")
    (own,) = adapter.values()
    found = [after.read(f"{STEM}.1.{p}.weight") - tensors[f"{STEM}.1.{p}.weight"] for p in spelling]
    assert np.allclose(np.concatenate(found), dense(own.terms), atol=1e-6)
    for part in spelling:
        assert np.array_equal(
            after.read(f"{STEM}.0.{part}.weight"), tensors[f"{STEM}.0.{part}.weight"]
        )


def test_an_expert_is_found_in_the_stack_of_its_own_part_alone(tmp_path: Path) -> None:
    """Where a model keeps no stack of gate above up."""
    tensors = {f"{STEM}.up_proj": normal(2, 3, 4)}
    adapter = Adapter({f"{STEM}.1.up_proj": delta(3, 4)})
    bake(write_checkpoint(tmp_path / "base", tensors), adapter, tmp_path / "out")
    change = Checkpoint.open(tmp_path / "out").read(f"{STEM}.up_proj") - tensors[f"{STEM}.up_proj"]
    assert np.allclose(change[1], dense(adapter[f"{STEM}.1.up_proj"].terms), atol=1e-6)
    assert not change[0].any()


def test_a_delta_of_other_rows_than_another_adapter_brings_is_told_with_both(
    tmp_path: Path,
) -> None:
    base = write_checkpoint(tmp_path / "base", {WORDS: normal(6, 4)}, tie_word_embeddings=False)
    place = Place("model.embed_tokens", kind="embedding")
    both = Adapter({place.key: delta(4, 6, place)}, replacements=stored(WORDS, 8, 4).replacements)
    with pytest.raises(DifferentBase, match="in one adapter, and another brings") as error:
        bake(base, both, tmp_path / "out")
    assert "`model.embed_tokens` has shape (4, 6)" in str(error.value)
    assert "(4, 8) for it" in str(error.value)


def rows_of(*pairs: tuple[str, int]) -> dict[str, Replacement]:
    found = {}
    for tensor, row in pairs:
        found |= stored(tensor, 4, row=row).replacements
    return found


def test_other_rows_at_both_ends_of_tied_weights_have_no_sum_of_two(tmp_path: Path) -> None:
    """PEFT trains the rows of both ends as one, unless each end has rows of its own."""
    base = write_checkpoint(tmp_path / "base", {WORDS: normal(6, 4)}, tie_word_embeddings=True)
    pair = [
        Adapter({}, name, replacements=rows_of((WORDS, row), ("lm_head.weight", 2)))
        for name, row in (("math", 1), ("law", 2))
    ]
    with pytest.raises(Refused, match="embedding and output layer have different trained rows"):
        bake(base, pair[0] + pair[1], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("differ", [None, 0, 5], ids=["equal", "first row", "last row"])
def test_rows_go_to_the_twin_of_a_tied_embedding_where_both_are_equal(
    tmp_path: Path, differ: int | None
) -> None:
    """Transformers 5 ties an output layer that the files hold too where it equals the embedding."""
    words = normal(6, 4)
    output = words.copy()
    if differ is not None:
        output[differ, 3] += 1
    base = write_checkpoint(
        tmp_path / "base", {WORDS: words, "lm_head.weight": output}, tie_word_embeddings=True
    )
    adapter = stored(WORDS, 4, row=2)
    bake(base, adapter, tmp_path / "out")
    after = Checkpoint.open(tmp_path / "out")
    (new,) = (part.value.at(None) for r in adapter.replacements.values() for part in r.parts)
    assert np.array_equal(after.read(WORDS)[2], new.astype(np.float32))
    there = after.read("lm_head.weight")
    assert np.array_equal(there[2], new.astype(np.float32) if differ is None else output[2])
    assert np.array_equal(np.delete(there, 2, 0), np.delete(output, 2, 0))


def test_tied_deltas_of_a_base_without_either_end_are_refused_by_name(tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", {"x.weight": normal(6, 4)})
    place = Place("model.embed_tokens", kind="embedding")
    tied = Adapter({place.key: delta(4, 6, place)}, tied={"lm_head": "model.embed_tokens"})
    with pytest.raises(BadInput, match=r"`lm_head\.weight`"):
        bake(base, tied, tmp_path / "out")


def test_a_row_that_only_a_stored_embedding_has_is_nobodys_to_change(tmp_path: Path) -> None:
    """Of the rows that one adapter brings, another cannot have trained one."""
    tensors = {name: normal(6, 4) for name in (WORDS, "lm_head.weight")}
    base = write_checkpoint(tmp_path / "base", tensors, tie_word_embeddings=False, vocab_size=6)
    both = stored(WORDS, 8, 4).replacements | stored("lm_head.weight", 8, 4).replacements
    both |= stored(WORDS, 4, row=7).replacements
    with pytest.raises(Refused) as error:
        bake(base, Adapter({}, replacements=both), tmp_path / "out")
    assert f"`{WORDS}[7]`" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_copy_of_a_tensor_that_the_base_does_not_have_is_refused_by_name(tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", {WORDS: normal(6, 4)}, vocab_size=6)
    adapter = Adapter({}, replacements=stored(WORDS, 4, row=1).replacements,
                      copies={"model.gone.weight": normal(6, 4)})  # fmt: skip
    with pytest.raises(BadInput, match=r"`model\.gone\.weight`"):
        bake(base, adapter, tmp_path / "out")


def test_a_file_of_a_base_of_which_nothing_is_left_is_no_file_of_the_model(tmp_path: Path) -> None:
    """A classifier has no layer that predicts tokens, and that may fill a file."""
    tensors = {"model.q.weight": normal(4, 4), "lm_head.weight": normal(6, 4)}
    base = write_checkpoint(tmp_path / "base", tensors, shards=2, pad_token_id=0)
    head = Replacement((Part(1.0, Stored(normal(3, 4))),), "score.weight", owner="score")
    adapter = Adapter({}, replacements={head.key: head}, settings={"task_type": "SEQ_CLS"})
    bake(base, adapter, tmp_path / "out")
    after = Checkpoint.open(tmp_path / "out")
    assert set(after.names) == {"model.q.weight", "score.weight"}
    assert np.array_equal(after.read("model.q.weight"), tensors["model.q.weight"])
    assert prove_model(base, adapter, tmp_path / "out").holds
    for path in (tmp_path / "out").glob("*.safetensors"):
        assert load_file(path), path.name
