"""The build hook: plotly.js as it was pinned, or a build without it that says so."""

from __future__ import annotations

import importlib.util
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hatchling.bridge.app import Application

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def hook(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The hook on an empty project, on a machine without npm and without plotly."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    root = tmp_path / "project"
    root.mkdir()
    return module.BringPlotly(str(root), {}, None, None, "", "wheel", Application())


def fake_npm(tmp_path: Path, body: str) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.write_text(f"#!{sys.executable}\n{body}", encoding="utf-8")
    npm.chmod(0o755)


def test_where_nothing_brings_the_script_the_build_goes_on_with_a_warning(
    hook: Any, module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hook.dependencies() == [module.WHEEL]
    hook.initialize("standard", {})
    assert "built without plotly.js" in capsys.readouterr().err
    assert list(Path(hook.root).iterdir()) == []


def test_npm_that_fails_is_asked_once(hook: Any, module: ModuleType, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    fake_npm(tmp_path, f"open({str(calls)!r}, 'a').write('x'); raise SystemExit(1)")
    assert hook.dependencies() == [module.WHEEL]
    hook.initialize("standard", {})
    assert calls.read_text() == "x"


def test_npm_that_packs_elsewhere_is_passed_over(
    hook: Any, module: ModuleType, tmp_path: Path
) -> None:
    fake_npm(tmp_path, "")
    assert hook.dependencies() == [module.WHEEL]


def test_a_script_that_is_not_the_pinned_one_ends_the_build(hook: Any, tmp_path: Path) -> None:
    for name in ("plotly-cartesian.min.js", "LICENSE"):
        (tmp_path / name).write_text("other", encoding="utf-8")
    with tarfile.open(tmp_path / "made.tar", "w") as archive:
        for name in ("plotly-cartesian.min.js", "LICENSE"):
            archive.add(tmp_path / name, f"package/{name}")
    made = str(tmp_path / "made.tar")
    fake_npm(tmp_path, f"import shutil; shutil.copy({made!r}, 'plotly.tgz')")
    with pytest.raises(RuntimeError, match="not the file that was pinned"):
        hook.dependencies()
    assert list(Path(hook.root).iterdir()) == []


def test_what_an_earlier_build_left_of_another_version_does_not_count(
    hook: Any, module: ModuleType
) -> None:
    folder = Path(hook.root) / module.FOLDER
    folder.mkdir(parents=True)
    (folder / module.LICENCE).write_text("MIT", encoding="utf-8")
    (folder / module.SCRIPT).write_text("older", encoding="utf-8")
    assert hook.dependencies() == [module.WHEEL]
    pinned = (ROOT / module.FOLDER / module.SCRIPT).read_bytes()
    (folder / module.SCRIPT).write_bytes(pinned)
    assert hook.dependencies() == []
