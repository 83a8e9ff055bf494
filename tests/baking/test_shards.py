"""Weights are written shard by shard in the base's order, whole or not at all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_dtypes import bfloat16
from safetensors.numpy import load_file
from tests.baking.checkpoints import normal, write_checkpoint

from superpose.adapter import Adapter, Delta
from superpose.baking import bake, blocks
from superpose.errors import BadInput
from superpose.files import copying, read_header
from superpose.files.checkpoint import INDEX, Checkpoint

LAYERS = ("a", "b", "c", "d")


def tensors(dtype: Any = np.float32) -> dict[str, Any]:
    found = {f"{x}.weight": normal(6, 4, seed=i).astype(dtype) for i, x in enumerate(LAYERS)}
    return {**found, "steps": np.arange(7), "scale": np.array(2.5, np.float32)}


def adapter(size: float = 1.0) -> Adapter:
    return Adapter({"b": Delta.of(normal(6, 2), normal(2, 4), size)})


@pytest.mark.parametrize("shards", [1, 3])
def test_untouched_tensors_and_the_files_order_are_the_bases(shards: int, tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", tensors(), shards=shards)
    bake(base, adapter(), tmp_path / "out")
    before, after = Checkpoint.open(base), Checkpoint.open(tmp_path / "out")
    assert after.files == before.files
    for file in before.files:
        headers = [read_header(folder / file) for folder in (base, tmp_path / "out")]
        assert headers[0] == headers[1]
        x, y = (load_file(folder / file) for folder in (base, tmp_path / "out"))
        for name in x:
            assert (x[name].tobytes() == y[name].tobytes()) == (name != "b.weight")
    if shards > 1:
        indexes = [json.loads((folder / INDEX).read_text()) for folder in (base, tmp_path / "out")]
        assert indexes[0] == indexes[1]


def test_copying_by_hand_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between file systems, and on systems that cannot copy inside themselves."""
    base = write_checkpoint(tmp_path / "base", tensors())
    bake(base, adapter(), tmp_path / "out")
    monkeypatch.setattr(copying, "_in_the_system", lambda *_: None)
    monkeypatch.setattr(copying, "_BUFFER", 5)
    bake(base, adapter(), tmp_path / "again")
    one, two = ((tmp_path / n / "model.safetensors").read_bytes() for n in ("out", "again"))
    assert one == two


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_a_converted_model_is_each_value_rounded_and_integers_stay(
    dtype: str, tmp_path: Path
) -> None:
    base = write_checkpoint(tmp_path / "base", tensors(), dtype="float32")
    bake(base, adapter(), tmp_path / "out", dtype=dtype)
    after, kind = (
        Checkpoint.open(tmp_path / "out"),
        np.dtype(dtype if dtype[0] == "f" else bfloat16),
    )
    for name, value in tensors().items():
        read = after.read(name)
        if name == "steps":
            assert np.array_equal(read, value)
        elif name != "b.weight":
            assert read.dtype == kind
            assert read.tobytes() == value.astype(kind).tobytes()
    assert after.config["dtype"] == dtype


@pytest.mark.parametrize(
    ("size", "dtype", "said"),
    [(1e6, "float16", "float16 does not hold"), (1e39, None, "too large")],
)
def test_a_value_that_would_not_be_finite_names_its_tensor_and_nothing_is_written(
    size: float, dtype: str | None, said: str, tmp_path: Path
) -> None:
    base = write_checkpoint(tmp_path / "base", tensors())
    with pytest.raises(BadInput, match=rf"^b\.weight: .*{said}"):
        bake(base, adapter(size), tmp_path / "out", dtype=dtype)
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_a_base_that_is_not_finite_where_it_is_changed_is_named_and_elsewhere_stays(
    tmp_path: Path,
) -> None:
    held = tensors()
    held["a.weight"][0, 0] = -np.inf  # as attention masks are stored
    base = write_checkpoint(tmp_path / "fine", held)
    bake(base, adapter(), tmp_path / "out", dtype="bfloat16")
    assert np.isinf(Checkpoint.open(tmp_path / "out").read("a.weight")[0, 0])
    held["b.weight"][0, 0] = np.nan
    base = write_checkpoint(tmp_path / "base", held)
    with pytest.raises(BadInput, match="the base model's own values are not"):
        bake(base, adapter(), tmp_path / "out2")


def test_a_disk_without_room_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = write_checkpoint(tmp_path / "base", tensors())
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(BadInput, match=r"the disk has 0\.00 MB free"):
        bake(base, adapter(), tmp_path / "new" / "out")
    assert not (tmp_path / "new").exists()


def test_progress_ends_with_all_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 8)
    base = write_checkpoint(tmp_path / "base", tensors(), shards=2)
    told: list[tuple[int, int]] = []
    baked = bake(base, adapter(), tmp_path / "out", progress=lambda *x: told.append(x))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (baked.bytes, baked.bytes)
    assert len(told) > 4


_SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
from superpose.adapter import Adapter, Delta
from superpose.baking import bake, blocks
import numpy as np
blocks.BLOCK = 4
base, out = sys.argv[1:]
def slowly(done, total):
    print(done, flush=True)
    time.sleep(5)
bake(base, Adapter({"b": Delta.of(np.ones((6, 1)), np.ones((1, 4)))}), out, progress=slowly)
"""


def test_an_interrupted_bake_leaves_nothing(tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", tensors())
    command = [sys.executable, "-c", _SLOW, str(base), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        assert run.stdout is not None
        assert run.stdout.readline()
        assert any(path.name.endswith(".part") for path in tmp_path.iterdir())
        run.send_signal(signal.SIGINT)
        started = time.monotonic()
        run.wait(30)
    assert time.monotonic() - started < 20  # of 45 seconds and more
    assert run.returncode != 0
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


_PEAK = """
import sys, tracemalloc
import numpy as np
from superpose.adapter import Adapter, Delta
from superpose.baking import bake
base, out = sys.argv[1:]
rng = np.random.default_rng(0)
terms = [rng.standard_normal((2048, 8)).astype("f4"), rng.standard_normal((8, 4096)).astype("f4")]
adapter = Adapter({f"layers.{i}": Delta.of(*terms) for i in range(6)})
tracemalloc.start()
bake(base, adapter, out)
print(tracemalloc.get_traced_memory()[1])
"""


def test_memory_does_not_grow_with_the_model_nor_with_a_tensor(tmp_path: Path) -> None:
    """A tensor has 16 MB, the model 98 MB; a block of rows, and what is made of it, has less."""
    held = {f"layers.{i}.weight": normal(2048, 4096, dtype=bfloat16) for i in range(6)}
    base = write_checkpoint(tmp_path / "base", held)
    run = subprocess.run(
        [sys.executable, "-c", _PEAK, str(base), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(run.stdout) < 24e6
