"""Adapters as a verb may be given them, and what its command does with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import superpose
from superpose.cli.app import main

Files = dict[str, bytes]


def files(folder: Path) -> Files:
    """All that lies there, by name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def shell(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    """What a command prints with --json, without the version that it begins with."""
    with pytest.raises(SystemExit) as end:
        main([*map(str, words), "--json"])
    said = capsys.readouterr()
    assert not end.value.code, said.err
    printed = json.loads(said.out)
    assert next(iter(printed)) == "schema"
    assert printed.pop("schema") == 1
    return printed


def as_json(found: Any) -> Any:
    return json.loads(json.dumps(found.to_json()))


def names(weight: str = "") -> list[Any]:
    return ["sums", f"coins{weight}"]


def paths(weight: str = "") -> Any:
    return {"sums": 1.0, "coins": float(weight[1:])} if weight else [Path("sums"), Path("coins")]


def objects(weight: str = "") -> list[Any]:
    sums, coins = superpose.load("sums"), superpose.load("coins")
    return [sums, f"coins{weight}" if weight else coins]


GIVEN = [names, paths, objects]
