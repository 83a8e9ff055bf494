"""Which of two ways to call a part of a model is the newer one, and what follows for the rest."""

from __future__ import annotations

import pytest

from superpose.names.identity import Parsed, parse
from superpose.names.prefixes import Region, modern, renamings

OLD, NEW = "language_model.model.", "model.language_model."


def named(*modules: str) -> list[Parsed]:
    return [parse(f"{module}.weight") for module in modules]


def test_a_head_goes_the_way_of_its_body() -> None:
    """One file alone has it, by the name of a version whose bodies are called otherwise."""
    one = named(f"{OLD}layers.0.mlp.up_proj", "language_model.lm_head")
    other = named(f"{NEW}layers.0.mlp.up_proj")
    changes, none = renamings([one, other])
    assert changes["body", OLD] == NEW
    assert changes["head", "language_model."] == ""
    assert not none


def test_a_tower_goes_the_way_of_a_body_without_its_head() -> None:
    one = named("language_model.layers.0.mlp.up_proj", "vision_tower.layers.0.mlp.fc1")
    changes, none = renamings([one, named(f"{NEW}layers.0.mlp.up_proj")])
    assert changes == {("body", "language_model."): NEW, ("tower", ""): "model."}
    assert not none


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("language_model.lm_head", "lm_head"),
        ("visual.blocks.0.attn.qkv", "model.visual.blocks.0.attn.qkv"),
        ("layers.0.mlp.up_proj", "model.layers.0.mlp.up_proj"),
    ],
)
def test_the_newer_name_stays_whichever_comes_first(older: str, newer: str) -> None:
    old, new = named(older), named(newer)
    changed = {old[0].prefix: new[0].prefix}
    for files, right in (((old, new), (changed, {})), ((new, old), ({}, changed))):
        found = renamings(files)
        assert tuple({k[1]: v for k, v in own.items()} for own in found) == right


def test_what_all_files_call_alike_stays() -> None:
    names = named("model.layers.0.mlp.up_proj", "lm_head")
    assert list(renamings([names, names])) == [{}, {}]


@pytest.mark.parametrize(
    ("body", "bare", "prefix"),
    [
        ("language_model.model.", False, "model.language_model."),
        ("language_model.model.", True, "language_model."),
        ("model.text_model.", False, "model.text_model."),
        ("model.text_model.", True, "text_model."),
    ],
)
def test_bodies_of_several_inputs_are_called_as_transformers_calls_them_today(
    body: str, bare: bool, prefix: str
) -> None:
    stored: dict[Region, str] = {"body": body, "head": "language_model."}
    tower = "" if bare else "model."
    assert modern(stored, bare=bare) == {"body": prefix, "tower": tower, "head": ""}
