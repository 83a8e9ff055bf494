"""What a command prints to be typed next runs as it stands, in the folder where it was printed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.conftest import write_questions
from tests.library.making import moved, random_factors, write_factors
from tests.verbs.test_running import study_file

import superpose
from superpose.landscape.predictions import LOOK
from superpose.shown import Line
from superpose.training.settings import LoraSettings, TrainingSettings

PRINTED = re.compile(r"superpose (?:[a-z]+) [^;()\n]+")
"""A command within a line: up to its end, or to the bracket that it stands in."""

PLACEHOLDERS = ("A.jsonl", "B.jsonl", "QUESTIONS.jsonl")
"""What a message cannot know, and a user has."""

DATA = ("-d", "sums.jsonl", "-d", "coins.jsonl")


@pytest.fixture
def place(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a base, two domains and the adapters trained on them; where we stand."""
    files = write_questions(tmp_path)
    for seed, (name, path) in enumerate(files.items()):
        superpose.train(
            tiny_base, path, tmp_path / name,
            lora=LoraSettings(rank=2, dropout=0.0, targets=("q_proj",)),
            training=TrainingSettings(epochs=1, learning_rate=0.02),
            questions=superpose.TrainingQuestions(seed=seed),
        )  # fmt: skip
    for name, path in zip(PLACEHOLDERS, (*files.values(), files["sums"]), strict=True):
        shutil.copy(path, tmp_path / name)
    for name in ("base", "BASE"):  # BASE stands for one that adapters do not tell
        (tmp_path / name).symlink_to(tiny_base)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def printed(text: str) -> list[str]:
    """The commands that a text tells to type."""
    return [found.rstrip(" .`") for found in PRINTED.findall(text)]


def follow(run: Run, commands: list[str]) -> None:
    """Run commands one after another; what they write as OUT is gone before each."""
    for command in commands:
        shutil.rmtree("OUT", ignore_errors=True)
        ended = run(*shlex.split(command)[1:])
        assert ended.code == 0, f"{command}\n{ended.err}"


@pytest.mark.parametrize(
    "command",
    [
        ("check", "sums", "coins"),
        ("check", "sums", "sums"),
        ("predict", "base", "sums", "coins", *DATA),
        ("tune", "base", "sums", "coins", *DATA),
        ("tune", "base", "sums", "coins", *DATA, "--by", "module"),
        ("compare", "base", "sums", "coins", *DATA, "--methods", "sum", "--rows", "8"),
        ("compare", "base", "sums", "coins", *DATA, "--methods", "regmean", "--rows", "8"),
    ],
    ids=lambda command: " ".join(command[:1] + command[4:]),
)
def test_what_is_told_to_be_typed_next_runs(
    command: tuple[str, ...], place: Path, run: Run
) -> None:
    ended = run(*command, *(("-q",) if command[0] != "check" else ()))
    assert ended.code == 0, ended.err
    commands = printed(ended.out)
    assert commands, ended.out
    if "--by" in command:  # it says to keep them first
        Path("weights.json").write_text(run(*command, "-q", "--json").out, encoding="utf-8")
    follow(run, commands)


def test_where_weights_are_to_be_looked_for_predict_tells_the_whole_command(
    place: Path, run: Run
) -> None:
    """On the rows that it drew itself, in the folder that has kept what it measured."""
    data = ["sums.jsonl", "coins.jsonl"]
    few = superpose.Calibration(rows=6, seed=3)
    found = superpose.predict("base", ["sums", "coins"], data, questions=few, out="kept")
    assert found.advice is not None
    looking = replace(found, advice=replace(found.advice, verdict=LOOK, weights=None))
    lines = [part for part in looking.shown() if isinstance(part, Line)]
    (command,) = [line.text for line in lines if line.strong == "Next:"]
    ended = run(*shlex.split(command)[1:], "--json", "-q")
    assert ended.code == 0, ended.err
    tuned = json.loads(ended.out)
    assert list(tuned["weights"]) == list(found.forecast.names)
    own = superpose.tune("base", ["sums", "coins"], data, questions=few)
    assert tuned["weights"] == own.weights
    assert found.tuning == command


def test_a_library_check_leads_from_near_copies_to_one_adapter(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    of_one, other = random_factors(0), random_factors(1)
    near = [moved(of_one, seed, 0.02) for seed in range(3)]
    turned = {name: (-B, A) for name, (B, A) in of_one.items()}
    for name, factors in zip("abcde", (*near, turned, other), strict=True):
        write_factors(tmp_path / "fleet" / name, factors)
    assert run("index", "fleet", "-o", "fleet.index").code == 0
    ended = run("check", "--index", "fleet.index")
    assert ended.code == 0, ended.err
    (command,) = [command for command in printed(ended.out) if "--rank" in command]
    assert run(*shlex.split(command)[1:]).code == 0
    one = superpose.load("OUT")
    assert [Path(parent.path or "").name for parent in one.parents] == ["a", "b", "c"]
    assert one.rank == 3
    assert min(one.cosine(superpose.load(f"fleet/{name}")) for name in "abc") > 0.99
    shutil.rmtree("fleet/b")
    shutil.rmtree("fleet/c")
    run("index", "fleet", "-o", "fleet.index")
    assert "--rank" not in run("check", "--index", "fleet.index").out


@pytest.mark.slow
def test_what_the_demo_says_to_type_runs_and_ends_with_the_best_adapter(
    place: Path, tiny_base: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a study file of its own, which takes seconds."""
    files = {name: place / f"{name}.jsonl" for name in ("sums", "coins")}
    (place / "study.yaml").write_text(json.dumps(study_file(tiny_base, files)), encoding="utf-8")
    monkeypatch.setattr("superpose.verbs.demo.FILE", place / "study.yaml")
    ended = run("demo", "-o", "made here", "-q")
    assert ended.code == 0, ended.err
    commands = printed(ended.out.partition("What to type next")[2])
    assert [command.split()[1] for command in commands] == [
        "check", "ask", "predict", "tune", "add",
    ]  # fmt: skip
    assert ended.out.rstrip().endswith(commands[-1])
    follow(run, commands)
    made = superpose.load("made here/merged").made
    assert made.method == "regmean"
    rows = json.loads(Path("made here/domains.json").read_text(encoding="utf-8"))
    left = {path.stem: path for path in Path("made here/questions").iterdir()}
    assert set(left) == set(files)
    for name, path in left.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) == rows[name]["calibration_rows"] > 0
