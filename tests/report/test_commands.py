"""`--html` on the commands: a page where it was asked for, the answer as ever, and one command."""

from __future__ import annotations

import json
import re
import resource
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Superpose, WriteAdapter

MODULES = tuple(f"model.layers.{n}.self_attn.{m}_proj" for n in range(2) for m in "oq")

LIMIT = "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))"
"""Makes the system refuse larger files; it then takes a page of none of these commands."""

Tiny = Callable[[str, int], Path]


@pytest.fixture
def tiny(write_adapter: WriteAdapter) -> Tiny:
    """Write an adapter of the tiny base that changes its loss by a few per cent."""

    def write(name: str, seed: int) -> Path:
        settings = {"modules": MODULES, "width": 32, "alpha": 0.1, "base_model": "tiny-llama"}
        return write_adapter(name, seed=seed, **settings)  # type: ignore[arg-type]

    return write


def sections(page: Path) -> list[str]:
    """The anchors of a page's sections, in order."""
    return re.findall(r'<section id="([\w-]+)"', page.read_text(encoding="utf-8"))


def rewrite(adapter: Path, **settings: str) -> None:
    """Change an adapter's configuration."""
    file = adapter / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(config | settings), encoding="utf-8")


def data_of(text: str) -> Any:
    """What a page holds for its scripts."""
    return json.loads(text[text.index('id="data">') + 10 :].partition("</script>")[0])


def test_check_writes_a_page_with_jinja2_alone(tmp_path: Path, write_adapter: WriteAdapter) -> None:
    """Nothing of torch or the other heavy libraries is there; the page says what was typed."""
    write_adapter("a")
    write_adapter("b", seed=1)
    program = """
import sys
class NotInstalled:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "peft", "scipy", "pydantic"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NotInstalled)
from superpose.cli.app import main
main(["check", "a", "b", "--html", "my page.html", "--json"])
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert len(json.loads(ended.stdout)["pairs"]) == 1
    assert ended.stderr == "page: my page.html\n"
    page = tmp_path / "my page.html"
    assert sections(page) == ["verdict", "pairs", "made"]
    typed = "superpose check a b --html &#39;my page.html&#39; --json"
    assert typed in page.read_text(encoding="utf-8")
    assert str(tmp_path) not in page.read_text(encoding="utf-8")


def test_the_answer_is_there_where_the_page_cannot_be_written(
    tmp_path: Path, write_adapter: WriteAdapter
) -> None:
    """The disk takes no file of a page's size; that is an error, which names the page."""
    write_adapter("a")
    write_adapter("b", seed=1)
    program = f"""
import resource
{LIMIT}
from superpose.cli.app import main
main(["check", "a", "b", "--html", "page.html", "--json"])
"""
    ended = subprocess.run(
        [sys.executable, "-Bc", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert len(json.loads(ended.stdout)["pairs"]) == 1
    assert ended.stderr == "error: page.html: cannot be written: File too large\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_the_page_is_there_where_nobody_reads_the_answer(
    tmp_path: Path, write_adapter: WriteAdapter
) -> None:
    write_adapter("a")
    write_adapter("b", seed=1)
    words = ["check", "a", "b", "--html", "page.html"]
    with subprocess.Popen(
        [sys.executable, "-m", "superpose", *words], cwd=tmp_path, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        running.stdout.close()
    assert sections(tmp_path / "page.html") == ["verdict", "pairs", "made"]


@pytest.mark.parametrize("place", ["notes.txt/page.html", "/proc/self/page.html"])
def test_a_folder_that_takes_no_page_is_said_before_any_work(
    superpose: Superpose, tmp_path: Path, place: str
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    ended = superpose("check", "missing", "missing-too", "--html", place, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {place}: cannot be written: ")


def test_another_file_in_the_way_is_refused_before_any_work(
    superpose: Superpose, tmp_path: Path
) -> None:
    taken = tmp_path / "weights.safetensors"
    taken.write_bytes(b"weights")
    ended = superpose("check", "missing", "missing-too", "--html", taken)
    assert ended.returncode == 2
    assert "already exists and is no page of superpose" in ended.stderr
    assert taken.read_bytes() == b"weights"


@pytest.mark.parametrize("command", ["predict", "tune"])
def test_predict_and_tune_write_pages_with_a_desk(
    command: str, tiny_base: Path, tiny: Tiny, question_files: dict[str, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from superpose.cli.app import main

    adapters = [str(tiny("sums", 0)), str(tiny("coins", 1))]
    for adapter, base in zip(adapters, ("tiny-llama", "another-name"), strict=True):
        rewrite(Path(adapter), base_model_name_or_path=base, colour="blue")
    data = [arg for path in question_files.values() for arg in ("--data", str(path))]
    page = tmp_path / "page.html"
    words = [command, str(tiny_base), *adapters, *data, "--rows", "6", "--html", str(page)]
    words += ["--same-base", "--ignore-key", "colour"]
    with pytest.raises(SystemExit) as end:
        main([*words, "--json"])
    assert not end.value.code
    said = json.loads(capsys.readouterr().out)
    text = page.read_text(encoding="utf-8")
    wanted = {
        "predict": ["verdict", "desk", "disturbance", "table", "pairs", "made"],
        "tune": ["verdict", "desk", "table", "made"],
    }
    assert sections(page) == wanted[command]
    (desk,) = data_of(text)["desk"]["desks"]
    options = ["--same-base", "--ignore-key=colour"]
    assert shlex.split(desk["command"]) == ["superpose", "add", *adapters, *options]
    desk_words = [*shlex.split(desk["command"])[1:], "--weights=1,0.5", "-o", str(tmp_path / "sum")]
    with pytest.raises(SystemExit) as end:
        main(desk_words)
    assert not end.value.code
    tuned = said["advice"]["weights"] if command == "predict" else said["weights"]
    assert list(tuned.values()) in desk["presets"]
    assert "6 calibration rows" in text


@pytest.mark.parametrize("command", ["predict", "tune"])
def test_predict_and_tune_tell_what_they_found_where_no_page_can_be_written(
    command: str, tiny_base: Path, tiny: Tiny, question_files: dict[str, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from superpose.cli.app import main

    data = [arg for path in question_files.values() for arg in ("--data", str(path))]
    words = [command, str(tiny_base), str(tiny("sums", 0)), str(tiny("coins", 1)), *data]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(SystemExit) as end:
            main([*words, "--rows", "4", "--html", str(tmp_path / "page.html"), "--json"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert end.value.code == 2
    said = capsys.readouterr()
    assert "page.html: cannot be written: File too large" in said.err
    assert json.loads(said.out)["base"] == str(tiny_base)
    assert not (tmp_path / "page.html").exists()


def test_a_study_writes_everything_on_its_page(studied: Path) -> None:
    found = sections(studied / "page.html")
    wanted = ["verdict", "desk", "disturbance", "table", "against-sum", "figure", "pairs", "made"]
    assert found == wanted
    text = (studied / "page.html").read_text(encoding="utf-8")
    summary = json.loads((studied / "summary.json").read_text(encoding="utf-8"))
    assert f"{summary['points'][0]['dppl_percent']:+.2f}".replace("-", "−") in text
    assert "8 train, 6 test, 6 calibration rows" in text
    assert summary["versions"]["torch"] in text
    times = re.search(r"<dt>Time</dt><dd>(.*?)</dd>", text)
    assert times is not None
    activities = ["training", "evaluation", "forecast", "this run"]
    assert [one.rpartition(" ")[0].rpartition(" ")[0] for one in times[1].split(", ")] == activities
    assert re.findall(r"<option.*?>(seed \d)</option>", text) == ["seed 0", "seed 1"]
    assert len(data_of(text)["desk"]["desks"]) == 2
