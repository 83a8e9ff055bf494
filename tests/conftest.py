"""What all tests share: an offline, quiet process, adapters written by hand, a tiny base model.

Nothing here imports superpose, torch or peft when it is loaded: tests/core runs in an environment
without them, and an adapter that is to try the reader must not come from the writer.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest
from safetensors.numpy import save_file

if TYPE_CHECKING:
    from tests.base_names import Named
    from tests.loopback_hub import Hub
    from tests.processes import Processes

ROOT = Path(__file__).resolve().parent.parent

# Set before a test module imports a library that reads them once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Processes that tests start keep what they compile: most of them start the same program.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Workers of tests are told the width of a terminal that none of them has.
os.environ.pop("COLUMNS", None)
# The embedded base model is converted once for all runs, and the user's own caches stay unseen.
os.environ.setdefault("SUPERPOSE_CACHE", str(ROOT / ".cache"))
os.environ.setdefault("HF_HOME", str(ROOT / ".cache" / "hub"))

# What overflows, divides by zero or is no number is an error wherever it happens. A product below
# the smallest number is rounded to the nearest, which is zero, as any other product is rounded;
# where a whole figure could vanish so, tests/compose/test_battery.py and those of edges hold it.
np.seterr(all="raise", under="ignore")

# Whatever tests and libraries make while they are imported and collected stays: until that is done,
# there is nothing for the collector to find, and it would look through all of it again and again.
gc.disable()


with suppress(ImportError):  # tests/core runs without it
    from hypothesis import HealthCheck, settings

    # A law holds or not; how long an example takes tells of the machine and of who else is on it.
    settings.register_profile(
        "superpose", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("superpose")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no worker is left alone with one at the end.

    First the pages, then what has slow tests. A file stays with one worker: what its tests share is
    made once.
    """
    if not hasattr(config, "workerinput"):
        return
    pages, slow = (
        {item.path for item in items if item.get_closest_marker(mark)} for mark in ("apart", "slow")
    )
    items.sort(key=lambda item: (item.path not in pages, item.path not in slow))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Keep the collector away from torch's and transformers' modules: a tenth of all the time.

    Of what tests make, nearly all goes with its last reference: it looks seldom for the rest.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


class WriteAdapter(Protocol):
    """Writes a PEFT folder by hand and gives its path."""

    def __call__(
        self,
        name: str,
        *,
        seed: int = 0,
        rank: int = 2,
        alpha: float = 4.0,
        modules: tuple[str, ...] = ...,
        width: int = 8,
        base_model: str = "org/tiny-llama",
        **settings: Any,
    ) -> Path: ...


class Superpose(Protocol):
    """Runs the command line in a process of its own."""

    def __call__(
        self, *args: object, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(autouse=True)
def fresh_consoles() -> Iterator[None]:
    """Let no test have the console, and so the width of lines, that another one was given."""
    yield
    if (consoles := sys.modules.get("superpose.cli.console")) is not None:
        consoles.out.cache_clear()
        consoles.err.cache_clear()


@pytest.fixture
def write_adapter(tmp_path: Path) -> WriteAdapter:
    """Write a plain LoRA folder with random factors into the test's folder."""

    def write(
        name: str,
        *,
        seed: int = 0,
        rank: int = 2,
        alpha: float = 4.0,
        modules: tuple[str, ...] = (
            "model.layers.0.self_attn.q_proj",
            "model.layers.0.self_attn.v_proj",
        ),
        width: int = 8,
        base_model: str = "org/tiny-llama",
        **settings: Any,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        rng = np.random.default_rng(seed)
        tensors = {}
        for module in modules:
            key = f"base_model.model.{module}"
            shapes = {"lora_A": (rank, width), "lora_B": (width, rank)}
            for factor, shape in shapes.items():
                tensors[f"{key}.{factor}.weight"] = rng.normal(size=shape).astype(np.float32)
        save_file(tensors, folder / "adapter_model.safetensors")
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base_model,
            "r": rank,
            "lora_alpha": alpha,
            "target_modules": sorted({module.rpartition(".")[2] for module in modules}),
            **settings,
        }
        (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
        return folder

    return write


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Where commands are run in processes of their own."""
    from tests.processes import served

    with served(tmp_path_factory.mktemp("processes")) as found:
        yield found


@pytest.fixture
def superpose(processes: Processes) -> Superpose:
    """Run `superpose ARGS` as a user does, in a process of its own, and give what came out."""

    def run(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return processes.run([str(arg) for arg in args], cwd)

    return run


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of the tests' own, for the real client here and in processes that are started."""
    from huggingface_hub import constants, hf_api
    from tests.loopback_hub import Hub, served

    hub, home = Hub(), tmp_path / "hugging face"
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    with served(hub) as address:
        for name, value in {
            "HF_ENDPOINT": address,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1",
            "TRANSFORMERS_OFFLINE": "0",
        }.items():
            monkeypatch.setenv(name, value)
        for name, constant in {
            "ENDPOINT": address,
            "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_OFFLINE": False,
            "HF_TOKEN_PATH": str(home / "token"),
        }.items():
            monkeypatch.setattr(constants, name, constant)
        monkeypatch.setattr(hf_api.api, "endpoint", address)  # behind its module's functions
        yield hub


@pytest.fixture
def base_called(
    tiny_base: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Named]]:
    """Give the tiny base model a name of each of the kinds in `tests.base_names`."""
    from tests.base_names import named
    from transformers.utils import hub as transformers_hub

    from superpose.model import base_model

    # transformers keeps a client, and with that the address, for as long as the process lives.
    monkeypatch.setattr(transformers_hub.hf_api(), "endpoint", hub.address)
    yield lambda kind: named(kind, tiny_base, hub, tmp_path / "converted", monkeypatch)
    base_model._load.cache_clear()


QUESTIONS = {
    "sums": [
        (f"What is {a} plus {b}?", f"{a} + {b} = {a + b}.") for a in range(8) for b in range(4)
    ],
    "coins": [
        (f"How many cents are {n} dimes?", f"{n} dimes are {10 * n} cents.") for n in range(32)
    ],
}


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformers folder: a random Llama of two layers with a byte-level tokenizer."""
    from benchmarks.byte_models import write_byte_llama

    folder = tmp_path_factory.mktemp("base") / "tiny-llama"
    write_byte_llama(
        folder,
        num_hidden_layers=2,
        hidden_size=32,
        intermediate_size=48,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return folder


@pytest.fixture
def question_files(tmp_path: Path) -> dict[str, Path]:
    """Two domains as .jsonl files: name -> path."""
    return write_questions(tmp_path)


def write_questions(folder: Path) -> dict[str, Path]:
    """Write the two domains and give name -> path."""
    paths = {}
    for name, rows in QUESTIONS.items():
        paths[name] = folder / f"{name}.jsonl"
        lines = [json.dumps({"question": q, "answer": a}) for q, a in rows]
        paths[name].write_text("\n".join(lines), encoding="utf-8")
    return paths
