"""Adapters whose files call the weights of one model in two ways: PEFT loads the right sum."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.names.families import FAMILIES, changes, tiny, write

import superpose
from superpose.baking.found import tree_of_base
from superpose.compose import exact_sum
from superpose.errors import SuperposeWarning
from superpose.files.checkpoint import Checkpoint
from superpose.names.tree import Tree

ONE_EXPERT = "one of them"

# The first way of a family is the model's own: without the base the files alone must show it.
CASES = [
    (family, one, other, at_hand)
    for family, found in FAMILIES.items()
    for one, other in itertools.product(found.ways, repeat=2)
    for at_hand in (False, True)
    if at_hand or one == next(iter(found.ways))
    # Of one expert alone PEFT takes a slice of a stack, and no layer of its own.
    if not (one == other == ONE_EXPERT)
]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    return Bases(tmp_path_factory)


class Bases:
    """Tiny models by family, each made and saved once."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self.factory = factory
        self.made: dict[str, tuple[Any, Tree]] = {}

    def __getitem__(self, family: str) -> tuple[Any, Tree]:
        if family not in self.made:
            model, folder = tiny(family), self.factory.mktemp("base")
            model.save_pretrained(folder)
            self.made[family] = model, tree_of_base(Checkpoint.open(folder))
        return self.made[family]


@pytest.mark.parametrize(("family", "one", "other", "at_hand"), CASES)
def test_peft_loads_the_sum_of_two_spellings(
    tmp_path: Path, bases: Bases, family: str, one: str, other: str, at_hand: bool
) -> None:
    model, tree = bases[family]
    g = np.random.default_rng(len(one) * 31 + len(other))
    ways = FAMILIES[family].ways
    weights = tuple(float(w) for w in g.uniform(-1.5, 1.5, 2))
    expected: dict[str, Any] = {}
    for way, weight, name in zip((one, other), weights, "ab", strict=True):
        (tensors, config), dense = ways[way](g)
        write(tmp_path / name, tensors, **config)
        for parameter, delta in dense.items():
            expected[parameter] = expected.get(parameter, 0.0) + weight * delta
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperposeWarning)
        loaded = [superpose.load(tmp_path / name) for name in "ab"]
        total = exact_sum(loaded, weights, tree=tree if at_hand else None)
        superpose.save(total, tmp_path / "sum")
    # Two adapters of the model without its head make one of it too, whatever the base is saved as.
    bare = one == other and one.endswith("bare")
    found = changes(model.base_model if bare else model, tmp_path / "sum")
    if bare:
        start = f"{model.base_model_prefix}."
        expected = {name.removeprefix(start): delta for name, delta in expected.items()}
    for parameter, change in found.items():
        right = expected.get(parameter, 0.0)
        size = float(np.linalg.norm(right)) or 1.0
        assert np.linalg.norm(change - right) <= 1e-5 * size, parameter
