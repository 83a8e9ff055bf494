"""A base model by its hub name: what is loaded is what the name says, and no code or pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from transformers.utils import hub as transformers_hub

from superpose.errors import BadInput, MissingBase
from superpose.model import base_model, load_base

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.loopback_hub import Hub


@pytest.fixture(autouse=True)
def _transformers_asks_the_hub_of_this_test(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """It keeps a client, and with that the address, for as long as the process lives."""
    monkeypatch.setattr(transformers_hub.hf_api(), "endpoint", hub.address)
    yield
    base_model._load.cache_clear()


@pytest.mark.parametrize(
    "name",
    ["org/base/tiny@v1", "hf://org/base@v1/tiny", "https://huggingface.co/org/base/tree/v1/tiny"],
)
def test_a_base_model_is_loaded_of_the_revision_and_folder_that_are_named(
    name: str, hub: Hub, tiny_base: Path
) -> None:
    files = {f"tiny/{path.name}": path.read_bytes() for path in tiny_base.iterdir()}
    hub.put("org/base", {"config.json": b"{}"})
    made = hub.put("org/base", files | {"tiny/pytorch_model.bin": b"x"}, branch="v1")
    loaded = load_base(name)
    for key, expected in load_base(tiny_base).model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[key], expected)
    assert loaded.model.name_or_path == loaded.model.config.name_or_path == "org/base/tiny"
    assert loaded.revision == "v1"
    weights = [path for _, path in hub.asked if path.endswith("model.safetensors")]
    assert weights
    assert all("/resolve/v1/" in path or f"/{made.commit('v1')}/" in path for path in weights)
    assert "org/base/tiny/pytorch_model.bin" not in hub.fetched


def test_of_a_hub_no_pickle_and_no_code_is_fetched_where_there_are_no_safetensors(
    hub: Hub, tiny_base: Path
) -> None:
    files = {path.name: path.read_bytes() for path in tiny_base.iterdir()}
    del files["model.safetensors"]
    hub.put("org/pickled", files | {"pytorch_model.bin": b"x", "own.py": b"raise SystemExit"})
    with pytest.raises(BadInput, match="holds no weights as safetensors"):
        load_base("org/pickled")
    assert not [path for path in hub.fetched if path.endswith((".bin", ".py"))]


def test_a_base_model_that_the_hub_does_not_have_is_missing() -> None:
    with pytest.raises(MissingBase, match="org/nothing@v1"):
        load_base("org/nothing@v1")
    with pytest.raises(MissingBase, match=r"\./nothing: there is no such folder"):
        load_base("./nothing")
