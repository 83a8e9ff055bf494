"""YAML that people write by hand, as plain values: what could do harm is refused by its line.

Tags are refused (`!!python/object`, `!!timestamp`), a key stands once. Plain values are YAML 1.2's:
`1e-4` is a number, and `no`, `on`, `1:30:30`, `1_0`, `010` and dates stay text, of which YAML 1.1
makes booleans and other numbers; a domain may be called `no`. Nesting and what aliases stand for
are bounded before anything is made of them: nine lines of nested anchors are a thousand million
values.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from superpose.errors import BadInput

__all__ = ["yaml_value"]

DEEPEST = 50
MOST = 100_000
"""Values in a file, each alias counted as all that it stands for."""


def yaml_value(text: str, where: object) -> Any:
    """Give what a text of YAML holds: dicts, lists, strings, numbers, booleans and None.

    where: what an error calls the text, with the line. Raises BadInput for anything else.
    """
    try:
        _check_bounds(text, where)
        return yaml.load(text, _Plain)  # noqa: S506 - a loader of plain values alone
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "context", None) or error
        raise BadInput(f"not YAML: {problem}", where=_line(where, mark)) from None
    except (ValueError, OverflowError) as error:  # a number of thousands of digits
        raise BadInput(f"not YAML of sensible values: {error}", where=where) from None
    except RecursionError:
        raise BadInput("not YAML of a sensible depth", where=where) from None


def _check_bounds(text: str, where: object) -> None:
    """Raise BadInput for a tag, and for too much depth or too many values, aliases followed."""
    held: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []
    count = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            inside = event.anchor in [anchor for anchor, _ in open_]
            count += MOST if inside else held.get(event.anchor, 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            held |= {event.anchor: 1} if event.anchor else {}
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            held |= {anchor: count - before} if anchor else {}
        if problem := _problem(event, len(open_), count):
            raise BadInput(problem, where=_line(where, event.start_mark))


def _problem(event: Any, depth: int, count: int) -> str | None:
    if tag := getattr(event, "tag", None):
        return f"the tag `{tag}` is none that is read here; plain values need none"
    if depth > DEEPEST:
        return f"nested more than {DEEPEST} deep: not YAML of a sensible depth"
    return f"more than {MOST:,} values, aliases followed" if count > MOST else None


def _line(where: object, mark: Any) -> str:
    return str(where) if mark is None else f"{where}, line {mark.line + 1}"


class _Plain(yaml.SafeLoader):
    """YAML's safe loader, which would let the last of two equal keys win without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Refuse a key that stands twice in one mapping, and one that is no single value."""
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a list or a mapping is no key", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key `{key.value}` stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_WHOLE = r"(?:0|[1-9][0-9]*)"
_FORMS = (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", rf"[-+]?{_WHOLE}", "-+0123456789"),
    (
        "float",
        rf"[-+]?(?:\.[0-9]+|{_WHOLE}(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
        "-+0123456789.",
    ),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("merge", r"<<", "<"),
)
"""The core schema, https://yaml.org/spec/1.2.2/#103-core-schema, without what begins with a 0 and
with PyYAML's merge key."""

_Plain.yaml_implicit_resolvers = {}
for _tag, _form, _first in _FORMS:
    _Plain.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_form})$"), list(_first)
    )
