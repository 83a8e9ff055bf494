"""The core does its whole work without torch, and says what to install where it cannot.

These tests run twice: in the full environment, and in one that has the core's dependencies alone
(`make test-core`). Either way the processes they start find none of the heavy libraries.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file

if TYPE_CHECKING:
    from collections.abc import Callable
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
    "pydantic",
    "scipy",
    "sklearn",
    "torch",
    "transformers",
    "yaml",
)
WITHOUT_THEM = f"""
import sys

class NotInstalled:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NotInstalled)
"""


@pytest.fixture
def without_them() -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run Python code in a process that finds none of the heavy libraries."""

    def run(code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", WITHOUT_THEM + code],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return run


def test_every_layer_below_model_imports(
    without_them: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    ended = without_them(
        """
import importlib, pkgutil, superpose
torch = ("superpose.harness", "superpose.measure", "superpose.model", "superpose.peft")
torch += ("superpose.studies", "superpose.training")
above = (*torch, "superpose.__main__")
for module in pkgutil.walk_packages(superpose.__path__, "superpose.", onerror=lambda name: None):
    if not module.name.startswith(above):
        importlib.import_module(module.name)
"""
    )
    assert ended.returncode == 0, ended.stderr


def test_the_probe_hides_a_library_that_is_installed(
    without_them: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    ended = without_them("import torch")
    assert ended.returncode == 1
    assert "No module named 'torch'" in ended.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["eval", "smollm2", "math", "--data", "questions.jsonl"],
        ["train", "smollm2", "questions.jsonl", "-o", "result"],
        ["ask", "smollm2", "math", "--prompt", "What is 2 + 2?"],
        ["study", "study.yaml"],
        ["demo"],
    ],
    ids=lambda args: args[0],
)
def test_a_command_that_needs_the_study_extra_says_how_to_get_it(
    without_them: Callable[[str], subprocess.CompletedProcess[str]],
    args: list[str],
    write_adapter: WriteAdapter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = write_adapter("math").parent
    (folder / "questions.jsonl").write_text('{"question": "2 + 2?", "answer": "4"}\n' * 4)
    (folder / "study.yaml").write_text("base: smollm2\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SUPERPOSE_CACHE", str(folder / "cache"))
    ended = without_them(f"from superpose.cli.app import main\nmain({args!r})")
    assert (ended.returncode, ended.stdout) == (3, ""), ended.stderr
    assert 'pip install "superpose[study]"' in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (folder / "result").exists()


def test_a_page_needs_jinja2_and_says_so_before_any_work(
    without_them: Callable[[str], subprocess.CompletedProcess[str]],
    write_adapter: WriteAdapter,
    tmp_path: Path,
) -> None:
    args = ["check", str(write_adapter("a")), str(write_adapter("b", seed=1))]
    args += ["--html", str(tmp_path / "page.html")]
    ended = without_them(f"from superpose.cli.app import main\nmain({args!r})")
    assert (ended.returncode, ended.stdout) == (3, ""), ended.stderr
    assert 'pip install "superpose[report]"' in ended.stderr
    assert not (tmp_path / "page.html").exists()


def test_extract_needs_scikit_learn_for_large_layers_alone(
    without_them: Callable[[str], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    for width in (16, 512):
        weight = rng.standard_normal((width, width)).astype(np.float32)
        for name, change in (("base", 0.0), ("tuned", 1.0)):
            folder = tmp_path / f"{name}-{width}"
            folder.mkdir()
            tensors = {"model.layers.0.mlp.up_proj.weight": weight + np.float32(change)}
            save_file(tensors, folder / "model.safetensors")
            (folder / "config.json").write_text('{"model_type": "llama"}')

    def extract(width: int) -> subprocess.CompletedProcess[str]:
        args = ["extract", *(str(tmp_path / f"{name}-{width}") for name in ("base", "tuned"))]
        args += ["-o", str(tmp_path / f"out-{width}"), "--rank", "1"]
        return without_them(f"from superpose.cli.app import main\nmain({args!r})")

    ended = extract(16)
    assert ended.returncode == 0, ended.stderr
    ended = extract(512)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert 'pip install "superpose[extract]"' in ended.stderr
    assert not (tmp_path / "out-512").exists()


def gguf_lora(B: bytes, A: bytes, out: int, width: int) -> bytes:
    """A GGUF LoRA file of one tensor of rank 1 in float32, by the letter of the format."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    keys = {"general.architecture": "qwen2", "general.type": "adapter", "adapter.type": "lora"}
    header = b"GGUF" + struct.pack("<IQQ", 3, 2, len(keys))
    for key, value in keys.items():
        header += text(key) + struct.pack("<I", 8) + text(value)
    for side, (first, second, offset) in {"a": (width, 1, 0), "b": (1, out, 32)}.items():
        header += text(f"blk.0.attn_q.weight.lora_{side}")
        header += struct.pack("<IQQIQ", 2, first, second, 0, offset)
    header += bytes(-len(header) % 32)
    return header + A.ljust(32, b"\0") + B


def test_a_gguf_file_is_read_and_writing_one_says_what_to_install(
    without_them: Callable[[str], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    A, B = struct.pack("<3f", 1, 2, 3), struct.pack("<2f", 1, -1)
    (tmp_path / "one.gguf").write_bytes(gguf_lora(B, A, 2, 3))
    ended = without_them(
        f"""
import os, superpose
from superpose.cli.app import main
os.chdir({str(tmp_path)!r})
adapter = superpose.load("one.gguf")
(term,) = adapter["model.layers.0.self_attn.q_proj"].terms
assert (term.B @ term.A).tolist() == [[1, 2, 3], [-1, -2, -3]]
superpose.save(2 * adapter, "folder")
main(["add", "one.gguf", "folder", "-o", "sum.gguf"])
"""
    )
    assert (ended.returncode, ended.stdout) == (3, ""), ended.stderr
    assert 'pip install "superpose[gguf]"' in ended.stderr
    assert not (tmp_path / "sum.gguf").exists()


def test_image_loras_are_added_without_them(
    tmp_path: Path, without_them: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    """A LoRA of twos less twice a LoKr of ones is nothing."""
    module = "lora_unet_mid_block_attentions_0_proj_in"
    lora = {
        f"{module}.lora_down.weight": np.ones((2, 6)),
        f"{module}.lora_up.weight": np.ones((4, 2)),
    }
    lokr = {f"{module}.lokr_w1": np.ones((2, 3)), f"{module}.lokr_w2": np.ones((2, 2))}
    for name, tensors in (("lora", lora), ("lokr", lokr)):
        halves = {key: tensor.astype(np.float16) for key, tensor in tensors.items()}
        save_file(halves, tmp_path / f"{name}.safetensors")
    ended = without_them(
        f"import os; os.chdir({str(tmp_path)!r})\n"
        "import superpose\n"
        "total = superpose.load('lora.safetensors') - 2 * superpose.load('lokr.safetensors')\n"
        "superpose.save(total, 'sum.safetensors')\n"
        "print(superpose.load('sum.safetensors').norm())\n"
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "0.0\n"


def test_every_method_that_asks_for_no_answers_merges_without_them_and_without_the_base(
    write_adapter: WriteAdapter,
    tmp_path: Path,
    without_them: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    """A merge by regression has what lies beside the adapters."""
    names = [str(write_adapter(name, seed=seed)) for seed, name in enumerate("ab")]
    ended = without_them(
        f"""
import numpy as np
import superpose
from superpose.compose import FROM_DATA, METHODS
from superpose.data.input_statistics import InputStatistics
from superpose.lowrank.second_moment import SecondMoment
from superpose.verbs.merging import offered

names = {names!r}
for n, name in enumerate(names):
    X = np.random.default_rng(n).standard_normal((8, 30))
    known = dict.fromkeys(superpose.load(name), SecondMoment.of(X @ X.T / 30))
    InputStatistics(known, "org/tiny-llama", 3, 30).sketched(4).save(
        name + "/input_statistics.safetensors"
    )
methods = {{**METHODS, **FROM_DATA}}
for name in offered():
    if "tuned" not in name:
        superpose.add(names, {str(tmp_path)!r} + "/" + name, method=methods[name]())
        print(name, superpose.load({str(tmp_path)!r} + "/" + name).made.method)
"""
    )
    assert ended.returncode == 0, ended.stderr
    done = dict(line.split() for line in ended.stdout.splitlines())
    assert {"sum", "ties", "regmean", "ssr"} <= set(done)
    assert all(name == method for name, method in done.items())


def test_a_forecast_is_made_without_them_and_best_weights_say_what_to_install(
    without_them: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    """Of two domains whose losses are bowls around their own adapters, measured at every point."""
    ended = without_them(
        """
import numpy as np
from superpose.errors import MissingExtra
from superpose.landscape import Forecast, Sample, advise, design_points

def bowl(own):
    with_slope, plain = design_points(own, 2)
    points = np.array([*with_slope, *plain])
    off = points - np.eye(2)[own]
    rows = np.full(6, 3)
    slopes = off[:, None, None] * np.array([1, 0.5]) * rows[:, None, None]
    slopes[len(with_slope):] = np.nan
    values = (2 + (off**2 * [1, 0.5]).sum(1) / 2)[:, None] * rows
    return Sample(points, values, slopes, rows, ("all",))

forecast = Forecast(("a", "b"), ("a", "b"), (bowl(0), bowl(1)))
first, second = forecast.predict([[1, 1]])
assert first.nll_low <= first.nll <= first.nll_high < np.inf, first
assert len(forecast.every_subset()) == 8 and len(forecast.disturbances()) == 2
assert forecast._repr_html_() and forecast.to_model()["domains"]
for asked in (forecast.best, lambda: advise(forecast)):
    try:
        asked()
    except MissingExtra as error:
        assert 'pip install "superpose[study]"' in str(error)
    else:
        raise AssertionError("scipy was found")
"""
    )
    assert ended.returncode == 0, ended.stderr
