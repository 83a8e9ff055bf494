"""Of many architectures: with a head and without, and as their files say it, is one weight."""

from __future__ import annotations

import functools
import itertools
import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from safetensors.torch import load_file
from tests.names.bodies import RENAMED, WITH_A_HEAD, Make
from tests.names.families import Dense, changes
from tests.names.test_parts_of_models import assert_sum, respelled, tiny, trained

import superpose
from superpose.baking.found import found_in, tree_of_base
from superpose.compose import exact_sum
from superpose.errors import SuperposeWarning
from superpose.files.checkpoint import Checkpoint

pytestmark = pytest.mark.slow

Respell = Callable[[str], str]


class Made(NamedTuple):
    """A tiny model, some of its layers, and two adapters of these as the model calls them.

    folder: holds `base`, and the adapters `0` and `1`. parts: what each changes of the model.
    """

    model: Any
    layers: list[str]
    folder: Path
    parts: tuple[Dense, Dense]


MadeOf = Callable[[Make], Made]


@pytest.fixture(scope="module")
def made_of(tmp_path_factory: pytest.TempPathFactory) -> MadeOf:
    """Make a model and its adapters once for all ways of spelling them."""

    @functools.cache
    def make(kind: Make) -> Made:
        folder, model = tmp_path_factory.mktemp("made"), tiny(kind)
        model.save_pretrained(folder / "base")
        layers = some_layers(model)
        pattern = "|".join(layer.replace(".", r"\.") for layer in layers)
        one, other = (trained(model, pattern, folder / str(number), number) for number in (0, 1))
        return Made(model, layers, folder, (one, other))

    return make


def some_layers(model: Any) -> list[str]:
    """Eight linear layers of the body, drawn by a fixed seed."""
    import torch

    start = f"{model.base_model_prefix}."
    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and name.startswith(start)
        and not name.endswith("mixer.out_proj")  # of Mamba PEFT refuses it
    ]
    return sorted(random.Random(0).sample(found, min(8, len(found))))


def assert_two_spellings_add(
    made: Made, folder: Path, one: Respell, other: Respell, at_hand: bool
) -> None:
    """Hold PEFT's reading of the sum of two adapters against what they were before respelling."""
    for number, respell in enumerate((one, other)):
        shutil.copytree(made.folder / str(number), folder / str(number))
        respelled(folder / str(number), respell)
    base = Checkpoint.open(made.folder / "base")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperposeWarning)
        adapters = [superpose.load(folder / str(number)) for number in (0, 1)]
        total = exact_sum(adapters, tree=tree_of_base(base) if at_hand else None)
    superpose.save(total, folder / "sum")
    assert_sum(changes(made.model, folder / "sum"), *made.parts)
    assert not found_in(total, base, "base").missing


@pytest.mark.parametrize("at_hand", [False, True])
@pytest.mark.parametrize("kind", WITH_A_HEAD)
def test_a_body_is_one_with_its_head_and_without(
    tmp_path: Path, made_of: MadeOf, kind: str, at_hand: bool
) -> None:
    made = made_of(WITH_A_HEAD[kind])

    def bare(name: str) -> str:
        return name.removeprefix(f"{made.model.base_model_prefix}.")

    assert_two_spellings_add(made, tmp_path, bare, str, at_hand)


# Without the base one of the two must show what the model of today says.
@pytest.mark.parametrize(
    ("ways", "at_hand"),
    [
        (ways, at_hand)
        for ways in itertools.permutations(("file", "model", "bare"), 2)
        for at_hand in (False, True)
        if at_hand or "model" in ways
    ],
)
@pytest.mark.parametrize("kind", RENAMED)
def test_what_files_say_and_what_models_say_is_one_weight(
    tmp_path: Path, made_of: MadeOf, kind: str, ways: tuple[str, str], at_hand: bool
) -> None:
    """It is transformers that tells the older names: it writes them, and the numbers show which."""
    made = made_of(RENAMED[kind])
    stored = {
        tuple(tensor.flatten()[:8].tolist()): name
        for name, tensor in load_file(made.folder / "base/model.safetensors").items()
    }
    older = {
        layer: stored[tuple(made.model.get_submodule(layer).weight.flatten()[:8].tolist())]
        for layer in made.layers
    }
    assert any(older[layer] != f"{layer}.weight" for layer in made.layers)

    def in_file(name: str) -> str:
        layer, _, factor = name.partition(".lora_")
        return older[layer].removesuffix(".weight") + ".lora_" + factor

    spellings: dict[str, Respell] = {
        "file": in_file,
        "model": str,
        "bare": lambda name: name.removeprefix(f"{made.model.base_model_prefix}."),
    }
    one, other = (spellings[way] for way in ways)
    assert_two_spellings_add(made, tmp_path, one, other, at_hand)
