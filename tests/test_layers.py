"""The architecture of DESIGN holds: import-linter's contracts in pyproject.toml, run as a test.

Inside a room no modules go round in a circle, imports in functions and for types counted.
"""

from __future__ import annotations

import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_each_layer_imports_only_from_those_below_it() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    run = subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


THE_ADAPTER = "superpose.adapter.adapter"
"""The one exception: `a + b` brings two adapters under one name for each weight, and what does so
takes and gives adapters. Inside its room, everything may know the class Adapter."""


def imports() -> dict[str, set[str]]:
    """Each module's imports among our own, but for the one exception."""
    found = grimp.build_graph("superpose", exclude_type_checking_imports=False, cache_dir=None)
    known = {module: found.find_modules_directly_imported_by(module) for module in found.modules}
    room = THE_ADAPTER.rpartition(".")[0]
    return {
        module: {other for other in others if other != THE_ADAPTER or not module.startswith(room)}
        for module, others in known.items()
    }


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_circle_would_be_found() -> None:
    graph = imports()
    graph["superpose.errors"] = {"superpose.cli.app"}
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()
