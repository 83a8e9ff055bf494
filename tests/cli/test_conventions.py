"""What all commands have alike: how errors are said, -q, completed words, minus signs."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.cli.conftest import Run

import superpose
from superpose.cli.app import LazyCommands
from superpose.cli.completion import ALSO
from superpose.cli.console import hush, note
from superpose.cli.show import show
from superpose.files.bars import without_bars
from superpose.shown import Cell, Column, Line, Table
from superpose.shown.notebook import notebook_html
from superpose.shown.words import true_minus


def test_a_wrong_command_line_is_said_as_every_error_is(run: Run) -> None:
    for words, said, command in (
        (["info"], "missing argument 'ADAPTER...'", "superpose info"),
        (["check", "--nothing"], "no such option: --nothing", "superpose check"),
        (["nothing"], "no such command 'nothing'", "superpose"),
        (["near", "a", "--most", "x"], "invalid value for '--most': ", "superpose near"),
        (["diff", "a", "b", "c"], "got unexpected extra argument", "superpose diff"),
    ):
        ended = run(*words)
        first, second = ended.err.splitlines()
        assert (ended.code, ended.out) == (2, "")
        assert first.startswith(f"error: {said}")
        assert second == f"`{command} --help` tells more."


def test_every_command_has_quiet_and_says_arguments_as_its_usage_does() -> None:
    for name, command in LazyCommands().items():
        options = {flag for parameter in command.params for flag in parameter.opts}
        assert {"-q", "--quiet"} <= options, name
        usage = command.collect_usage_pieces(command.make_context(name, [], resilient_parsing=True))
        assert not [piece for piece in usage if "{" in piece], name
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        assert all(p.metavar and p.metavar.isupper() for p in arguments), name


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("tune --by ", ["adapter", "layer", "kind", "module", "direction"]),
        ("tune --objective w", ["worst"]),
        ("add --for ", ["peft", "vllm", "llama.cpp"]),
        ("add --method dare", ["dare", "dare-ties"]),
        ("add --dtype b", ["bfloat16"]),
        ("check --heads ", ["none", "sum"]),
    ],
)
def test_a_shell_completes_the_words_that_help_has(
    words: str, completed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_SUPERPOSE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"superpose {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
    code = "from superpose.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == completed


def test_quiet_drops_notes_and_keeps_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    hush(True)
    note("note", "one")
    note("warning", "two")
    hush(False)
    note("note", "three")
    assert capsys.readouterr().err == "warning: two\nnote: three\n"


@pytest.mark.parametrize("command", ["check", "info", "diff"])
def test_a_task_weight_where_none_is_taken_is_said_by_name(
    run: Run, write_adapter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    write_adapter("math"), write_adapter("law", seed=1)
    monkeypatch.chdir(tmp_path)
    ended = run(command, "math:0.5", "law")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "error: math:0.5: no task weight is taken here: figures are those of each adapter alone\n"
        "Name the adapter: math\n"
    )
    ended = run(command, "law", "math + 0.5*law")
    assert "a sum is not taken here, but an adapter alone" in ended.err
    assert "superpose add 'math + 0.5*law' -o OUT" in ended.err


def test_info_of_several_says_each_and_gives_all(
    run: Run, write_adapter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_adapter("math"), write_adapter("law", seed=1, rank=3)
    monkeypatch.chdir(tmp_path)
    alone = [json.loads(run("info", name, "--json").out) for name in ("math", "law")]
    schemas = {one.pop("schema") for one in alone}
    both = {"schema": 1, "adapters": alone}
    assert json.loads(run("info", "math", "law", "--json").out) == both
    assert schemas == {1}
    rows = list(csv.DictReader(io.StringIO(run("info", "math", "law", "--csv").out)))
    assert [(row["name"], row["rank"]) for row in rows] == [("math", "2"), ("law", "3")]
    (kind, other) = csv.DictReader(io.StringIO(run("info", "law", "--csv").out))
    assert (kind["name"], other["name"]) == ("q_proj", "v_proj")
    said = run("info", "math", "law").out
    assert said == run("info", "math").out + "\n" + run("info", "law").out
    found = superpose.info("math", superpose.load("law"))
    assert json.loads(json.dumps(found.to_json())) == {"adapters": alone}
    assert repr(found).startswith("<Summaries>")


def test_csv_is_the_main_table_that_json_has(
    run: Run, write_adapter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("math", "law", "=odd")):
        write_adapter(name, seed=seed)
    monkeypatch.chdir(tmp_path)
    for words, table in (
        (["check", "math", "law", "=odd"], "pairs"),
        (["diff", "math", "law"], "modules"),
    ):
        held = json.loads(run(*words, "--json").out)[table]
        text = run(*words, "--csv").out
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == len(held)
        for row, one in zip(rows, held, strict=True):
            numbers = {key: value for key, value in one.items() if type(value) is float}
            assert numbers
            assert {key: float(row[key]) for key in numbers} == numbers
            words_of = {key: value for key, value in one.items() if key in ("a", "name")}
            assert {key: row[key].removeprefix("'") for key in words_of} == words_of
    assert "'=odd" in run("check", "math", "=odd", "--csv").out  # no formula of a spreadsheet
    both = run("check", "math", "law", "--csv", "--json")
    assert (both.code, both.out) == (2, "")
    assert both.err == "error: --csv, --json: give one of the two\n"
    assert run("check", "math", "law").out.startswith("Adapters"), "it is of one run alone"


def test_what_has_tables_gives_them_as_csv() -> None:
    having = {
        name
        for name, command in LazyCommands().items()
        if any("--csv" in parameter.opts for parameter in command.params)
    }
    assert having == {
        "ask", "check", "compare", "compress", "diff", "dupes", "eval", "extract", "index", "info",
        "lineage", "near", "predict", "study", "tune", "unmix",
    }  # fmt: skip


def test_a_terminal_has_one_minus_and_a_notebook_the_other() -> None:
    heard = io.StringIO()
    columns = (Column("name"), Column("cosine", form="+.1f"))
    table = Table("t", columns, ((Cell("a-1"), Cell("-0.5", "-1 to 0")),))
    parts = (Line("cosine −0.5 (−1 to -0.25)"), table)
    show(parts, Console(file=heard, width=80))
    assert "−" not in heard.getvalue()
    assert "cosine -0.5 (-1 to -0.25)" in heard.getvalue()
    shown = notebook_html(parts)
    assert "cosine −0.5 (−1 to −0.25)" in shown
    assert "−0.5 (−1 to 0)" in shown
    assert "a-1" in shown
    step = "Give weights: superpose add a:-1 b -1"
    assert true_minus(step) == step


def test_no_bar_of_transformers_is_drawn_and_its_switch_is_left_as_it_was(
    capfd: pytest.CaptureFixture[str],
) -> None:
    import transformers
    from transformers import modeling_gguf_pytorch_utils as gguf

    drawn = gguf.tqdm
    for shown in (True, False):
        switch = "enable" if shown else "disable"
        getattr(transformers.utils.logging, f"{switch}_progress_bar")()
        with without_bars(transformers):
            list(gguf.tqdm(range(3), desc="Converting"))
            list(transformers.utils.logging.tqdm(range(3), desc="Loading weights"))
        assert transformers.utils.logging.is_progress_bar_enabled() == shown
    assert gguf.tqdm is drawn
    assert capfd.readouterr() == ("", "")


def test_help_is_a_command_as_well(run: Run) -> None:
    for words in ((), ("check",), ("eval",)):
        asked, usual = run("help", *words), run(*words, "--help")
        assert (asked.code, asked.out) == (0, usual.out)
    wrong = run("help", "chek")
    assert (wrong.code, wrong.out) == (2, "")
    assert "Did you mean 'check'?" in wrong.err


def test_an_option_is_called_alike_wherever_it_is() -> None:
    """`--output` beside `--out`, `-r` beside `--rank`, `-w` beside `--weights`, and none twice."""
    commands = LazyCommands()
    seen = dict.fromkeys(ALSO, 0)
    for name, command in commands.items():
        opts = [opt for p in command.params if p.param_type_name == "option" for opt in p.opts]
        assert len(set(opts)) == len(opts), name
        for one, other in ALSO.items():
            assert (one in opts) == (other in opts), name
            seen[one] += one in opts
    assert min(seen.values()) >= 4, seen


def test_the_other_names_do_what_the_usual_ones_do(
    run: Run, write_adapter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("math", "law")):
        write_adapter(name, seed=seed)
    monkeypatch.chdir(tmp_path)
    for words in (
        ("--out", "one", "--rank", 2, "--weights", "1,0.5"),
        ("--output", "other", "-r", 2, "-w", "1,0.5"),
    ):
        ended = run("add", "math", "law", *words)
        assert ended.code == 0, ended.err
    one, other = (superpose.load(name) for name in ("one", "other"))
    assert one == other
    assert one.rank == 2
