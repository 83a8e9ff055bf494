"""One name for one thing: what two modules call alike is one object, and no name hides a module."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import superpose

SRC = Path(superpose.__file__).parent

ACTS = ("cli", "verbs")
"""Rooms whose functions are called as what they do: a command, its verb, and the work below it."""

ALLOWED: Mapping[str, str] = {
    "main": "each program has one: the command line's, and the one that runs it",
    "note": "what a verb notes is what the console prints",
    "subjects": "each set of questions has its own: the sets are modules of one protocol",
}
"""Names that modules share with reason."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SRC.rglob("*.py")):
        name = ".".join(path.relative_to(SRC).with_suffix("").parts)
        yield name, ast.parse(path.read_text(encoding="utf-8"))


@cache
def defined() -> dict[str, list[str]]:
    """Give the modules that define each public class or function, but for commands and verbs."""
    homes: dict[str, list[str]] = defaultdict(list)
    for module, tree in modules():
        room, _, last = module.partition(".")
        for node in tree.body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name.startswith("_"):
                continue
            if room in ACTS and node.name == ("evaluate" if last == "eval_" else last):
                continue
            homes[node.name].append(module)
    return homes


def test_no_two_modules_call_different_things_by_one_name() -> None:
    shared = {name: homes for name, homes in defined().items() if len(homes) > 1}
    assert {name: homes for name, homes in shared.items() if name not in ALLOWED} == {}


def test_every_name_that_is_allowed_twice_is_there_twice() -> None:
    homes = defined()
    assert [name for name in ALLOWED if len(homes[name]) < 2] == []


def test_no_package_hides_one_of_its_modules() -> None:
    for found in pkgutil.walk_packages(superpose.__path__, "superpose."):
        importlib.import_module(found.name)
    hidden = []
    for name in [name for name in sys.modules if name.startswith("superpose.")]:
        package, _, last = name.rpartition(".")
        if getattr(sys.modules[package], last) is not sys.modules[name]:
            hidden.append(name)
    assert hidden == []
