"""Two commands on one output or one study folder: both end, and what stands is complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.hard.conftest import TRIALS
from tests.hard.jobs import state_of
from tests.hard.test_kills_on_the_way import STUDY, hidden

if TYPE_CHECKING:
    from tests.hard.conftest import Counted

FORKS = """
import os, sys, time
import superpose.__main__, superpose.cli.app, superpose.verbs.add, superpose.formats.peft.write
import superpose.formats.peft.read, superpose.files.exchange
at, *commands = sys.argv[1].split("|")
children = []
start = time.monotonic() + 0.05
for command in commands:
    child = os.fork()
    if not child:
        sys.argv = ["superpose", *command.split()]
        while time.monotonic() < start:
            pass
        superpose.__main__.main()
    children.append(child)
print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def raced(cwd: Path, *commands: str) -> tuple[list[int], str]:
    """Start commands at one moment; gives their exit codes and what they said."""
    program = [sys.executable, "-c", FORKS, "|".join(["race", *commands])]
    ended = subprocess.run(program, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return [int(code) for code in ended.stdout.split("\n")[-2].split()], ended.stderr


def test_of_two_that_write_one_new_folder_one_is_told(
    inputs: Path, tmp_path: Path, counted: Counted
) -> None:
    sums = [f"add {inputs}/math {inputs}/law:{weight} -o out -q" for weight in (0.5, 2)]
    whole = []
    for at, each in enumerate(sums):
        raced(tmp_path, each.replace("-o out", f"-o alone{at}/out"))
        whole.append(state_of(tmp_path / f"alone{at}/out"))
    assert None not in whole
    lost = 0
    trials = max(2, TRIALS // 4)
    for at in range(trials):
        folder = tmp_path / str(at)
        folder.mkdir()
        codes, told = raced(folder, *sums)
        assert sorted(codes) in ([0, 2], [0, 0]), (codes, told)
        assert state_of(folder / "out") in whole
        assert [path.name for path in folder.iterdir()] == ["out"]
        assert "Traceback" not in told
        lost += 2 in codes
    counted("two at once: add to one new folder", trials=trials, **{"one was told": lost})
    assert lost == trials


def test_of_two_that_replace_one_folder_the_later_stays(
    inputs: Path, tmp_path: Path, counted: Counted
) -> None:
    sums = [f"add {inputs}/math {inputs}/law:{weight} -o out -q --force" for weight in (0.5, 2)]
    whole = []
    for each in sums:
        raced(tmp_path, each)
        whole.append(state_of(tmp_path / "out"))
    trials = max(2, TRIALS // 4)
    for _ in range(trials):
        codes, told = raced(tmp_path, *sums, *sums)
        assert codes == [0, 0, 0, 0], (codes, told)
        assert state_of(tmp_path / "out") in whole
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
    counted("four at once: add --force to one folder", trials=trials)


def test_of_two_in_one_study_folder_one_is_told(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.format(inputs=inputs))
    command = [sys.executable, "-m", "superpose", "study", "study.yaml", "--out", "out", "-q"]
    two = [
        subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    told = [run.communicate(timeout=600)[1] for run in two]
    codes = sorted(run.returncode for run in two)
    # The later one may also come when the first is done: it then has nothing left to do.
    assert codes in ([0, 2], [0, 0]), told
    if codes == [0, 2]:
        assert any("another process is running this study" in text for text in told)
    assert (tmp_path / "out/table.csv").exists()
    assert hidden(tmp_path / "out") == []
