"""A model card's front matter: valid YAML whatever the base is called, and taken by the hub."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from hypothesis import example, given, strategies as st

import superpose
from superpose.formats.peft.card import model_card


def front(base: str | None) -> dict[str, object]:
    x = np.ones((2, 2), np.float32)
    adapter = superpose.Adapter({"m": superpose.Delta.of(x, x)}, name="a", base_model=base)
    card = model_card(adapter, {"m": 2}, "float32", 0.0)
    loaded: dict[str, object] = yaml.safe_load(card.split("---\n")[1])
    return loaded


@pytest.mark.parametrize("base", ["org/base", "gpt2", "org/Base_1.5-instruct"])
def test_a_base_model_of_the_hub_is_named(base: str) -> None:
    assert front(base)["base_model"] == base
    assert front(f"{base}@v1")["base_model"] == base


@given(st.text(max_size=30))
@example("/home/me/base")
@example("C:\\base")
@example("./base")
@example("runs/train/base")
@example('org/"odd": name # | \\')
@example("https://example.com/base")
def test_what_is_no_name_of_the_hub_is_left_out_and_breaks_nothing(base: str) -> None:
    found = front(base)
    assert found.get("base_model", base) in (base, base.partition("@")[0])
    assert found["library_name"] == "peft"
    if any(mark in base for mark in '\\: "#') or base.startswith((".", "/", "~")):
        assert "base_model" not in found
