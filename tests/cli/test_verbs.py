"""Every command asks one verb of the library and shows what it gives."""

from __future__ import annotations

import ast
import importlib
import inspect

import pytest
from tests.test_sizes import bodies

import superpose
from superpose.cli.app import COMMANDS

BODY = 25
"""Lines of code of a command's body."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_few_lines(name: str) -> None:
    module, _, function = COMMANDS[name].partition(":")
    sizes = dict(bodies(inspect.getsource(importlib.import_module(module))))
    assert sizes[function] <= BODY


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "help"])
def test_a_command_asks_one_verb_that_python_has_too(name: str) -> None:
    module, _, function = COMMANDS[name].partition(":")
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    (body,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function)
    asked = [
        imported.name
        for node in ast.walk(body)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("superpose.verbs.")
        for imported in node.names
    ]
    assert len(asked) == 1, f"{name} asks {asked or 'no verb'}"
    assert asked[0] in superpose.__all__
    verb = getattr(superpose, asked[0])
    assert verb.__module__.startswith("superpose.verbs.")
    assert verb.__doc__
