"""What adapters store is worked out on the base model, or what the base lacks for it is named."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.baking.checkpoints import normal, write_checkpoint

from superpose.adapter import Adapter, Delta, Part, Place, Replacement, Stored
from superpose.compose import exact_sum
from superpose.compose.on_base import OnBase
from superpose.errors import DifferentBase, Refused, SuperposeWarning
from superpose.files.checkpoint import Checkpoint

WORDS, OUTPUT, STACK = "model.embed_tokens.weight", "lm_head.weight", "model.experts.gate_up_proj"
TENSORS = {
    WORDS: normal(6, 4),
    OUTPUT: normal(6, 4, seed=1),
    "model.x.weight": normal(6, 4, seed=4),
    "lm_head.bias": normal(6, seed=2),
    STACK: normal(2, 6, 4, seed=3),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("base") / "base"
    return Checkpoint.open(write_checkpoint(folder, TENSORS, tie_word_embeddings=False))


def stored(
    tensor: str, *shape: int, row: int | None = None, weight: float = 0.5, owner: str | None = None
) -> dict[str, Replacement]:
    value = Part(weight, Stored(normal(*shape, seed=9)))
    one = Replacement((value,), tensor, row=row, owner=owner)
    return {one.key: one}


def delta(place: Place, out: int, into: int) -> dict[str, Delta]:
    return {place.key: Delta.of(normal(out, 2, seed=5), normal(2, into, seed=6), 0.5, place)}


def matrix(out: int, into: int) -> np.ndarray:
    return 0.5 * normal(out, 2, seed=5).astype(float) @ normal(2, into, seed=6).astype(float)


HEAD = "lm_head"


@pytest.mark.parametrize(
    ("adapter", "error", "said"),
    [
        (
            Adapter({}, replacements=stored("model.gone.weight", 3)),
            DifferentBase,
            "the base model has no tensor `model.gone.weight`",
        ),
        (
            Adapter({}, replacements=stored("score.weight", 3, 4)),
            Refused,
            "`score.weight` is a head that the base model does not have, and its task weights sum "
            "to 0.5",
        ),
        (
            Adapter({}, replacements=stored(WORDS, 4, row=6)),
            DifferentBase,
            "the adapter was trained with 1 token more than the base model has",
        ),
        (
            Adapter({}, replacements=stored("model.x.weight", 4, row=6)),
            DifferentBase,
            "`model.x.weight[6]` is beyond the 6 rows of the base model's `model.x.weight`",
        ),
        (
            Adapter({}, replacements=stored("lm_head.bias", 5)),
            DifferentBase,
            "`lm_head.bias` has shape (5,) in the adapter and (6,) in the base model, and its "
            "task weights sum to 0.5: a share of what the base has there is needed",
        ),
        (
            Adapter(
                delta(Place(HEAD), 6, 5), replacements=stored(OUTPUT, 6, 4, owner=HEAD)
            ),
            DifferentBase,
            f"`{HEAD}` has shape (6, 5) in one adapter and (6, 4) in another",
        ),
        (
            Adapter(
                delta(Place("model.gone"), 6, 4),
                replacements=stored("model.gone.bias", 6, weight=1.0, owner="model.gone"),
            ),
            DifferentBase,
            "the base model has no tensor `model.gone.weight`",
        ),
        (
            Adapter(
                delta(Place("model.experts", "gate_up_proj", "experts", block=1, blocks=2), 6, 4),
                replacements=stored(STACK, 2, 6, 4, owner="model.experts"),
            ),
            Refused,
            "only bake knows which way round a base model keeps its experts",
        ),
    ],
    ids=["no tensor", "a head", "a row beyond", "a row of another layer", "another shape",
         "a delta of another shape", "no tensor for a delta", "a stack"],
)  # fmt: skip
def test_what_the_base_lacks_is_refused_by_name(
    base: Checkpoint, adapter: Adapter, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=re.escape(said)):
        OnBase(base).of(adapter)


def test_a_delta_of_a_module_that_is_stored_whole_is_worked_into_it(base: Checkpoint) -> None:
    whole = Adapter({}, "whole", replacements=stored(OUTPUT, 6, 4, weight=1.0, owner=HEAD))
    factors = Adapter(delta(Place(HEAD), 6, 4), "factors")
    found = OnBase(base).of(exact_sum([whole, factors], [0.25, 2.0]))
    assert not found.deltas
    own = TENSORS[OUTPUT].astype(float)
    right = own + 0.25 * (normal(6, 4, seed=9) - own) + 2.0 * matrix(6, 4)
    np.testing.assert_allclose(found.replacements[OUTPUT].value(), right, atol=1e-6)
    assert str(found.made.of).endswith("and stored tensors")


def test_a_weight_that_a_file_of_a_whole_module_left_out_is_the_bases(base: Checkpoint) -> None:
    """Its bias is there, and says that the module is stored."""
    adapter = Adapter(
        delta(Place(HEAD), 6, 4), replacements=stored("lm_head.bias", 6, weight=1.0, owner=HEAD)
    )
    found = OnBase(base).of(adapter)
    np.testing.assert_allclose(
        found.replacements[OUTPUT].value(), TENSORS[OUTPUT] + matrix(6, 4), atol=1e-6
    )


def test_pooled_inputs_are_unfolded_into_what_is_stored(base: Checkpoint) -> None:
    adapter = Adapter(
        delta(Place(HEAD, pooled=2), 6, 2),
        replacements=stored(OUTPUT, 6, 4, weight=1.0, owner=HEAD),
    )
    found = OnBase(base).of(adapter).replacements[OUTPUT].value()
    change = found - normal(6, 4, seed=9)
    np.testing.assert_allclose(change[:, 0], change[:, 1], atol=1e-6)
    np.testing.assert_allclose(change[:, 2], change[:, 3], atol=1e-6)
    np.testing.assert_allclose(change[:, ::2], matrix(6, 2), atol=1e-6)


def test_tied_ends_of_which_one_is_stored_whole_go_their_own_ways(base: Checkpoint) -> None:
    """The layer that is stored takes its delta, and the other end keeps one of its own."""
    place = Place("model.embed_tokens", kind="embedding")
    tied = Adapter(
        delta(place, 4, 6),
        tied={HEAD: place.key},
        replacements=stored(OUTPUT, 6, 4, weight=1.0, owner=HEAD),
    )
    found = OnBase(base).of(tied)
    assert (set(found.deltas), dict(found.tied)) == ({place.key}, {})
    right = normal(6, 4, seed=9) + matrix(4, 6).T
    np.testing.assert_allclose(found.replacements[OUTPUT].value(), right, atol=1e-6)


def test_a_sum_of_stored_tensors_that_cancels_adds_nothing() -> None:
    one = Adapter({}, "one", replacements=stored("model.norm.weight", 4, weight=1.0))
    for weights in ([1.0, -1.0], [0.0, 0.0]):
        with pytest.warns(SuperposeWarning, match="the sum is zero: .* adds nothing to the base"):
            exact_sum([one, one], weights)
