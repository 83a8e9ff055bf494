"""Output that is closed, full or of another encoding, and signals, end a command in plain words."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from superpose import errors
from superpose.cli import app as program
from superpose.cli.console import note, one_line, out
from superpose.cli.show import show
from superpose.cli.streams import StandardOutput
from superpose.cli.text import visible_in_terminal
from superpose.shown import Column, Line, Table

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

unix = pytest.mark.skipif(sys.platform == "win32", reason="shells and signals of Unix")
FULL = Path("/dev/full")


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of sh in which `$S` is superpose."""
    return subprocess.run(
        ["sh", "-c", line.replace("$S", f"'{sys.executable}' -m superpose")],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | environment,
        check=False,
    )


@unix
def test_a_closed_output_is_no_error(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a")
    for command in (f"$S info {folder} >&-", f"$S info {folder} --json >&- 2>&-", "$S --help >&-"):
        ended = shell(command)
        assert (ended.returncode, ended.stderr) == (0, "")


@unix
@pytest.mark.skipif(not FULL.exists(), reason="the device that is always full is Linux's")
@pytest.mark.parametrize("command", ["info A", "info A --json", "add A A -o OUT", "--version"])
def test_a_full_output_is_one_line_and_2(command: str, write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a")
    line = command.replace("A", str(folder)).replace("OUT", str(folder.parent / "sum"))
    ended = shell(f"$S {line} >{FULL}")
    said = "error: standard output cannot be written: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (2, said)


def test_only_a_reader_that_went_away_is_not_an_error_of_the_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(io.StringIO):
        error: OSError

        def write(self, text: str) -> int:
            raise self.error

    monkeypatch.setattr("superpose.cli.streams.discard_the_rest", lambda stream: None)
    stream = Broken()
    stream.error = BrokenPipeError()
    with pytest.raises(BrokenPipeError):
        StandardOutput(stream).write("x")
    stream.error = OSError(5, "Input/output error")
    with pytest.raises(errors.BadInput, match="cannot be written: Input/output error"):
        StandardOutput(stream).write("x")


@unix
@pytest.mark.parametrize(
    "arguments",
    ["check a b", "check a b --json", "check a b --fail-on cosine>2", "diff a a", "diff a b",
     "info a", "--help", "--version", "check --help"],
)  # fmt: skip
def test_whatever_is_printed_to_a_reader_that_left_ends_with_141(
    arguments: str, write_adapter: WriteAdapter
) -> None:
    folders = [write_adapter(name, seed=seed) for seed, name in enumerate("ab")]
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "superpose", *arguments.split()]
    ended = subprocess.run(
        command, stdout=write, stderr=subprocess.PIPE, check=False, cwd=folders[0].parent
    )
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="others keep file names that are text only")
def test_a_file_name_that_is_no_text_is_shown_and_written(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("good")
    bad = folder.parent / os.fsdecode(b"bad\xff")
    folder.rename(bad)
    run = [sys.executable, "-m", "superpose"]
    shown = subprocess.run([*run, "info", bad], capture_output=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert b"bad\\udcff" in shown.stdout
    gone = subprocess.run([*run, "info", f"{bad}2"], capture_output=True, check=False)
    assert (gone.returncode, gone.stdout) == (2, b"")
    assert b"Traceback" not in gone.stderr
    total = folder.parent / "sum"
    added = subprocess.run([*run, "add", bad, "-o", total], capture_output=True, check=False)
    assert added.returncode == 0, added.stderr
    again = subprocess.run([*run, "info", total, "--json"], capture_output=True, check=True)
    assert json.loads(again.stdout)["parents"][0]["path"] == str(bad)


@unix
def test_json_for_a_stream_without_the_character_is_json(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("naïve")
    ended = shell(f"$S info '{folder}' --json", PYTHONIOENCODING="ascii")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["path"] == str(folder)
    assert shell(f"$S info '{folder}'", PYTHONIOENCODING="ascii").returncode == 0


@unix
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_to_end_cleans_up_like_ctrl_c(name: str, code: int, tmp_path: Path) -> None:
    number = getattr(signal, name)
    ended = in_a_command(
        f"""
from superpose.files import new_folder
with new_folder({str(tmp_path / "out")!r}) as folder:
    (folder / "half").write_text("x")
    os.kill(os.getpid(), {int(number)})
    time.sleep(30)
"""
    )
    assert (ended.returncode, ended.stderr) == (code, "")
    assert list(tmp_path.iterdir()) == []


@unix
def test_an_interrupt_while_the_program_is_imported_ends_with_130() -> None:
    code = """
import sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "superpose.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from superpose.__main__ import main
main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (130, "")


@unix
@pytest.mark.parametrize(("argument", "code"), [("--version", 0), ("--no-such", 2)])
def test_an_interrupt_when_the_command_is_done_changes_nothing(argument: str, code: int) -> None:
    """Python takes itself down then, and would say where it was interrupted."""
    program = """
import atexit, os, signal, time
from superpose.__main__ import main
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
atexit.register(interrupt)
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, argument], capture_output=True, text=True, check=False
    )
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert "KeyboardInterrupt" not in ended.stderr


def in_a_command(body: str) -> subprocess.CompletedProcess[str]:
    """Run `body` as a command of superpose, in a process of its own."""
    indented = body.strip().replace("\n", "\n    ")
    code = f"""
import os, signal, sys, time, types
for name in {{"SIGTERM", "SIGHUP"}} & set(dir(signal)):  # a runner such as nohup may ignore them
    signal.signal(getattr(signal, name), signal.SIG_DFL)
from superpose.cli import app
module = types.ModuleType("body")
def body():
    {indented}
module.body = body
sys.modules["body"] = module
app.COMMANDS["body"] = "body:body"
app.main(["body"])
"""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_what_controls_a_terminal_is_an_escape(capsys: pytest.CaptureFixture[str]) -> None:
    note("error", "a\x1b[31m\x07\x9b\u202e.safetensors\nthe hint")
    assert capsys.readouterr().err == ("error: a\\x1b[31m\\x07\\x9b\\u202e.safetensors\nthe hint\n")
    assert visible_in_terminal("é\n") == "é\n"
    assert one_line("é\n\t") == "é\\n\\t"


def test_a_name_breaks_no_line_of_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    error = errors.BadInput("`x\ny` is odd, for 1 reason:\n  - it is", where="a\nb", hint="Go.")
    assert program._fail(error) == 2
    said = capsys.readouterr().err
    assert said == "error: a\\nb: `x\\ny` is odd, for 1 reason:\n  - it is\nGo.\n"


@pytest.mark.parametrize(
    ("columns", "width"), [("0", 120), ("5", 20), ("20", 20), ("60", 60), ("100", 100)]
)
def test_a_terminal_has_the_columns_that_it_says_but_twenty_at_least(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out.cache_clear()
    assert out().width == width
    figures = Table.of("t", (Column("name", lambda _: "n"), Column("", float, ".2f")), [1000.0])
    show([figures], out())
    out.cache_clear()
    said = capsys.readouterr().out
    assert "1000.00" in said
    assert max(map(len, said.splitlines())) <= width


def test_a_name_is_not_read_as_an_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    out.cache_clear()
    out().print("runs/:smile:", markup=False)
    show([Line("runs/:smile:")], out())
    out.cache_clear()
    assert re.findall(":smile:", capsys.readouterr().out) == [":smile:"] * 2


def test_a_machine_without_the_memory_says_so_in_one_line(tmp_path: Path) -> None:
    side = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    size, small = 1024 * 2_000_000, 8192
    entries = {
        "A.weight": {"dtype": "F32", "shape": [256, 2_000_000], "data_offsets": [0, size]},
        "B.weight": {"dtype": "F32", "shape": [8, 256], "data_offsets": [size, size + small]},
    }
    header = json.dumps({side + name: entry for name, entry in entries.items()}).encode()
    with (tmp_path / "adapter_model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size + small)  # a file of holes
    config = {"peft_type": "LORA", "r": 256, "lora_alpha": 1, "target_modules": ["q_proj"]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    command = f"ulimit -v 1500000; exec {sys.executable} -m superpose info {tmp_path}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: the system refuses: Unable to allocate 1.91 GiB")
    assert ended.stdout == ""
