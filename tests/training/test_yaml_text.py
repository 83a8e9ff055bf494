"""What people write by hand is as safe as what machines write: refused by line, or a value."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from superpose.errors import BadInput
from superpose.training.yaml_text import yaml_value

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: !!timestamp x", r"f, line 1: the tag `tag:yaml.org,2002:timestamp`"),
        ("a: 1\n!!python/object/apply:os.system ['x']: 1", r"f, line 2: the tag `.*os\.system`"),
        ("x: !!binary =", r"line 1: the tag"),
        ("x: !mine 3", r"line 1: the tag `!mine`"),
        ("[a, b]: 1", r"f, line 1: not YAML: a list or a mapping is no key"),
        ("? {a: 1}\n: 2", r"line 1: not YAML: a list or a mapping is no key"),
        (BOMB, r"f, line \d+: more than 100,000 values"),
        ("[" * 60 + "]" * 60, r"line 1: nested more than 50 deep"),
        ("[" * 5000, "sensible depth"),
        ("a: &a [*a]", "line 1: more than 100,000 values"),
        ("x: " + "9" * 6000, "not YAML of sensible values"),
        ("a: *none", "line 1: not YAML: found undefined alias"),
        ("a: 1\na: 2", "line 2: not YAML: the key `a` stands twice"),
        ("a: \x00", "not YAML"),
        ("a: 1\n---\nb: 2", "not YAML: but found another document"),
    ],
)
def test_what_could_do_harm_is_refused_at_its_line(text: str, message: str) -> None:
    started = time.perf_counter()
    with pytest.raises(BadInput, match=message):
        yaml_value(text, "f")
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("5E3", 5e3), ("-1e+2", -100.0), (".5", 0.5), ("3", 3), ("1.5e-3", 1.5e-3),
        ("2001-99-99", "2001-99-99"), ("2001-01-01", "2001-01-01"), ("e4", "e4"), ("1e", "1e"),
        ("true", True), ("", None), ("[1, 2e0]", [1, 2.0]), (".inf", float("inf")), ("-", [None]),
        ("no", "no"), ("On", "On"), ("y", "y"), ("1:30:30", "1:30:30"), ("1_0", "1_0"), ("~", None),
        ("010", "010"), ("0x1f", "0x1f"), ("0", 0), ("-7", -7), ("+3", 3), ("0.50", 0.5),
        ("FALSE", False), ("Null", None), ("-.INF", float("-inf")), ("no: 1", {"no": 1}),
        ("null: 1", {None: 1}),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
    ],
)  # fmt: skip
def test_plain_values_are_what_they_look_like(text: str, value: Any) -> None:
    assert yaml_value(text, "f") == value


@settings(max_examples=300)
@given(st.text(alphabet="ab01e-:!&*[]{}?,|>'\"#%@ \n<.=", max_size=40))
def test_any_text_is_a_value_or_bad_input(text: str) -> None:
    try:
        value = yaml_value(text, "f")
    except BadInput:
        return
    yaml.safe_dump(value)
