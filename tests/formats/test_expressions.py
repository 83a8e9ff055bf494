"""A configuration from elsewhere cannot make superpose match for ever, and real ones still read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

import superpose
from superpose.errors import BadInput, SuperposeWarning
from superpose.formats.peft.expressions import MOST_WAYS, compiled, total_ways

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

MODULES = [
    f"model.language_model.layers.{layer}.self_attn.{kind}_proj"
    for layer in range(80)
    for kind in "qkvo"
]
UNSLOTH = (
    r"(?:.*?(?:vision|image|visual|patch|language|text).*?(?:self_attn|attention|attn|mlp|ffn)"
    r".*?(?:k_proj|v_proj|q_proj|out_proj|fc1|fc2|proj|linear).*?)|"
    r"(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|attn)\.(?:(?:k_proj|v_proj)))"
)
REAL = [
    r".*\.(q|v)_proj",
    r"model\.layers\.(0|1)\..*attn.*",
    rf"^(?!.*lm_head)(?:model\.)?layers\.({'|'.join(map(str, range(80)))})\.[a-z_]+\.q_proj$",
    r"^(model\.language_model(?=\.).*\.(q_proj|down_proj))$",
    r"layers\.\d+\.(self_attn|mlp)\.\w+",
    r"(?i)Q_PROJ",
    r"a{2}b{1,3}[\]a][^]b]|m\.a\+b",
    r"layers\.[[]?\d+.*",
    UNSLOTH,
]
BOMBS = [
    "(a+)+z", "(a*)*z", "(a|a)*z", "(a|ab|b)+z", "(A|a)+z", "(a?)*z", "(?:a+){2,}z", "(?=(a+)+z)a",
    r"(\w|a)*z", "((a|b)+c)*z", "(|a)+z", "(?x:a | a)+z", "(.*a){20}z", "(a?){30}z", "a{2000}",
    "(?i:(?:sa|ſa)*)!", "(?i)(k|\u212a)*z", r"(?i)(k|\u212a)*z", r"(?si:[\x00-\U0010ffff])",
    "(?:(?:(?:){900}){900}){900}z", "(?:(?:a{30}){30}){30}", "(?:(?:(?:b|a{9}){90}){900})*z",
]  # fmt: skip


@pytest.mark.parametrize("expression", REAL)
def test_an_expression_of_real_configurations_passes_for_a_large_model(expression: str) -> None:
    pattern, ways = compiled(expression, "target_modules")
    assert pattern.pattern == expression
    assert total_ways([ways], MODULES) < MOST_WAYS


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_repeats_something_variable_is_refused_by_name(bomb: str) -> None:
    re.compile(bomb)
    with pytest.raises(BadInput, match="of rank_pattern is refused"):
        compiled(bomb, "rank_pattern", ends=True)


@pytest.mark.parametrize(
    "bomb", ["a?" * 40 + "a" * 40, "(a|a)" * 40 + "z", ".*" * 9 + "z", ".*" * 99, "(b|a|a)" * 40]
)
def test_a_long_row_of_choices_counts_as_too_many_ways(bomb: str) -> None:
    _, ways = compiled(bomb, "target_modules")
    assert total_ways([ways], MODULES) > MOST_WAYS


@pytest.mark.parametrize(
    "settings",
    [
        {"alpha_pattern": {"(a+)+z": 4}},
        {"rank_pattern": {"(a+)+z": 2}},
        {"target_modules": "(a+)+z"},
        {"alpha_pattern": {".*" * 9 + "z": 4}},
        {"alpha_pattern": {"q" * 60_000: 4}},
        {"alpha_pattern": {f"layers.{i}.q_proj": 4 for i in range(600_000)}},
        {"rank_pattern": {f"{i}{'q' * 40_000}": 4 for i in range(30)}},
        {"alpha_pattern": {"a{" + "9" * 5000 + "}": 4}},
    ],
    ids=["alpha", "rank", "targets", "choices", "long", "many", "long together", "digits"],
)
def test_an_adapter_with_a_bomb_is_refused_at_once_and_says_where(
    write_adapter: WriteAdapter, settings: dict[str, Any]
) -> None:
    folder = write_adapter("a", modules=("a" * 60 + ".q_proj", "a" * 60), **settings)
    with pytest.raises(BadInput) as caught:
        superpose.load(folder)
    assert caught.value.where is not None
    assert next(iter(settings)) in str(caught.value)


def test_targets_with_too_many_ways_are_left_uncompared_and_that_is_said(
    write_adapter: WriteAdapter,
) -> None:
    folder = write_adapter("a", modules=("a" * 60,), target_modules=".*" * 9 + "z")
    with pytest.warns(SuperposeWarning, match="target_modules is not compared"):
        assert len(superpose.load(folder)) == 1
