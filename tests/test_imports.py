"""What a process loads is paid for at every start: nothing heavy comes in unasked."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from superpose.cli.app import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import WriteAdapter

HEAVY = (
    "accelerate",
    "datasets",
    "gguf",
    "huggingface_hub",
    "jinja2",
    "pandas",
    "peft",
    "pyarrow",
    "pydantic",
    "scipy",
    "sklearn",
    "torch",
    "transformers",
    "yaml",
)


RARE = (
    "adapter.image_names",
    "adapter.summary",
    "baking",
    "compose",
    "data",
    "extraction",
    "files.base",
    "formats.beside",
    "formats.expanded",
    "formats.folded",
    "formats.gguf",
    "formats.image",
    "formats.mlx",
    "formats.peft.adalora",
    "formats.peft.card",
    "formats.peft.layout",
    "formats.peft.merged",
    "formats.peft.products",
    "formats.peft.write",
    "formats.vllm",
    "interference.difference",
    "landscape",
    "names.image",
    "names.tree",
    "report",
    "statistics",
)
"""Rooms that two plain PEFT folders give nothing to do."""

MOST_MODULES = 127
"""Of superpose that `superpose check` of such a pair may load: each costs a third of a millisecond,
and a hundred of them a third of what NumPy costs."""


def heavy_modules_after(code: str) -> set[str]:
    """The heavy libraries that a fresh process has loaded after running `code`."""
    return modules_after(code) & {*HEAVY}


def modules_after(code: str) -> set[str]:
    """All that a fresh process has loaded after running `code`."""
    program = f"""
import sys
try:
{"".join(f"    {line}{chr(10)}" for line in code.splitlines())}
except SystemExit as end:
    assert not end.code, end.code
print("LOADED", *sys.modules)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = run.stdout.splitlines()[-1].split()
    assert loaded[0] == "LOADED"
    return set(loaded[1:])


def command(*args: object) -> str:
    return f"from superpose.cli.app import main\nmain({[str(arg) for arg in args]!r})"


def test_the_probe_sees_a_heavy_import() -> None:
    assert heavy_modules_after("import yaml") == {"yaml"}


def test_importing_superpose_loads_nothing_heavy() -> None:
    assert heavy_modules_after("import superpose") == set()


NUMPY_ROOMS = (
    "superpose.data.prompt",
    "superpose.data.questions",
    "superpose.landscape",
    "superpose.landscape.predictors",
    "superpose.statistics",
)


@pytest.mark.parametrize("room", NUMPY_ROOMS)
def test_a_room_of_numpy_loads_nothing_heavy(room: str) -> None:
    assert heavy_modules_after(f"import {room}") == set()


def test_the_landscape_loads_nothing_of_others_that_numpy_and_the_core_do_not() -> None:
    core = "import numpy, superpose.adapter, superpose.formats, superpose.interference"
    more = modules_after("import superpose.landscape") - modules_after(core)
    assert {name.partition(".")[0] for name in more} - sys.stdlib_module_names == {"superpose"}


@pytest.fixture(scope="module")
def after_help() -> dict[str, set[str]]:
    """What each command has loaded after its `--help`, in a fork of a process that ran none."""
    program = f"""
import os, sys
from superpose.cli.app import COMMANDS, main
for name in COMMANDS:
    sys.stdout.flush()
    if not os.fork():
        try:
            main([name, "--help"])
        except SystemExit as end:
            code = end.code or 0
        print("LOADED", code, name, *sorted({set(HEAVY)!r} & set(sys.modules)), flush=True)
        os._exit(0)
    os.wait()
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    told = [line.split()[1:] for line in run.stdout.splitlines() if line.startswith("LOADED ")]
    assert {code for code, *_ in told} == {"0"}
    return {name: set(loaded) for _, name, *loaded in told}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_loads_nothing_heavy(
    name: str, after_help: dict[str, set[str]]
) -> None:
    assert after_help[name] == set()


def test_check_add_and_info_load_nothing_heavy(write_adapter: WriteAdapter) -> None:
    first, second = write_adapter("first", seed=1), write_adapter("second", seed=2)
    assert heavy_modules_after(command("check", first, second)) == set()
    assert heavy_modules_after(command("check", first, second, "--json")) == set()
    assert heavy_modules_after(command("info", first)) == set()
    assert heavy_modules_after(command("diff", first, first)) == set()
    out = first.parent / "sum"
    assert heavy_modules_after(command("add", first, second, "-o", out)) == set()
    assert heavy_modules_after(command("add", first, second, "--rank", 1, "-o", f"{out}1")) == set()


@pytest.mark.parametrize("argument", ["--version", "--nonsense"])
def test_what_a_command_has_loaded_is_not_looked_through_at_its_end(argument: str) -> None:
    """What is registered before it is done after it."""
    program = f"""
import atexit, gc, sys
atexit.register(lambda: print("FROZEN", gc.get_freeze_count() > 1000))
sys.argv[1:] = [{argument!r}]
from superpose.__main__ import main
main()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "FROZEN True"


def test_a_bad_study_file_is_told_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    good = "name: s\ndomains: {a: {data: a.jsonl}, b: {data: 'demo:math'}}\n"
    texts = {
        "key": f"{good}bse: x\n",
        "yaml": "domains: [",
        "rows": good,
        "questions": good.replace("a.jsonl", "demo:law"),
        "too-many": good.replace("a.jsonl", "demo:math") + "train_rows: 99999\n",
        "folder-of-rows": good.replace("a.jsonl", "."),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/settings.json").write_text("{", encoding="utf-8")
    given = [
        tmp_path / name for name in (*(f"{n}.yaml" for n in texts), "gone", "other", "damaged")
    ]
    code = f"""
from superpose.cli.app import main
for words in {[["study", str(path), *more] for path in given for more in ([], ["--dry-run"])]!r}:
    try:
        main(words)
    except SystemExit as end:
        assert end.code == 2, (words, end.code)
    else:
        raise AssertionError(words)
"""
    assert heavy_modules_after(code) <= {"pydantic", "yaml"}


def test_check_of_two_peft_folders_loads_no_room_that_they_do_not_need(
    write_adapter: WriteAdapter,
) -> None:
    first, second = write_adapter("first", seed=1), write_adapter("second", seed=2)
    loaded = modules_after(command("check", first, second))
    own = {name for name in loaded if name.startswith("superpose.")}
    assert own & {f"superpose.{name}" for name in RARE} == set()
    assert len(own) <= MOST_MODULES
    # OpenSSL and the wheel of secrets, which nothing here is hashed or hidden with.
    assert not loaded & {"hashlib", "secrets", "tempfile"}


def test_the_rooms_that_are_seldom_asked_for_are_there() -> None:
    assert [room for room in RARE if find_spec(f"superpose.{room}") is None] == []
