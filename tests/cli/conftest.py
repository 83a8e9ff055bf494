"""What the tests of the command line share: a command run in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

SECRET = "-----BEGIN OPENSSH PRIVATE KEY-----"
"""What a file outside the folder that is asked for holds, and nobody may pass on."""


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `superpose ARGS` in this process, which has its heavy libraries already."""
    from superpose.cli.app import main

    def run(*args: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
        said = capsys.readouterr()
        return Ended(int(end.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def world(tmp_path: Path, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that holds `here`, the current one with adapters a and b, and `outside`."""
    write_adapter("outside/adapter", seed=9)
    (tmp_path / "outside/secret").write_text(SECRET, encoding="utf-8")
    for seed, name in enumerate("ab"):
        write_adapter(f"here/{name}", seed=seed)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def state(folder: Path) -> dict[str, bytes | str]:
    """What every file below a folder holds, and where links lead."""
    return {
        str(path): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def unharmed(world: Path) -> Iterator[Callable[..., None]]:
    """Nothing but what stands below `here` changes, and no secret comes there, or is said."""
    before = {p: c for p, c in state(world).items() if not p.startswith(str(world / "here"))}
    said: list[str] = []
    yield lambda *words: said.extend(map(str, words))
    after = state(world)
    beside = {p: c for p, c in after.items() if not p.startswith(str(world / "here"))}
    kept = {p: c for p, c in beside.items() if not p.startswith(str(world / "hugging face"))}
    assert kept == before
    written = [c for p, c in after.items() if p.startswith(str(world / "here"))]
    assert not any(SECRET.encode() in c for c in written if isinstance(c, bytes))
    assert SECRET not in "".join(said)
