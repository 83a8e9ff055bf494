"""check, add and info on folders written by hand, held against dense NumPy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from tests.conftest import Superpose, WriteAdapter

    Dense = dict[str, NDArray[np.float64]]


def dense(folder: Path) -> Dense:
    """Each target module's delta as a dense matrix, by PEFT's plain rule s = alpha / r."""
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    tensors = load_file(folder / "adapter_model.safetensors")
    deltas = {}
    for key, value in tensors.items():
        if ".lora_B." in key:
            module = key.removeprefix("base_model.model.").partition(".lora_B.")[0]
            a = tensors[key.replace(".lora_B.", ".lora_A.")].astype(np.float64)
            scaling = config["lora_alpha"] / config["r"]
            deltas[module] = scaling * value.astype(np.float64) @ a
    return deltas


def cosine(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return float(np.sum(x * y) / (np.linalg.norm(x) * np.linalg.norm(y)))


def answer(superpose: Superpose, *args: object) -> Any:
    ended = superpose(*args)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_check_gives_the_cosines_of_the_dense_deltas(
    write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    math, law = write_adapter("math", seed=1), write_adapter("law", seed=2, rank=3, alpha=1.0)
    pair = answer(superpose, "check", math, law, "--json")["pairs"][0]
    x, y = dense(math), dense(law)
    expected = {module: cosine(x[module], y[module]) for module in x}
    for row in pair["modules"]:
        assert row["cosine"] == pytest.approx(expected[row["name"]], abs=1e-6)
    rms = np.sqrt(np.mean(np.square(list(expected.values()))))
    assert pair["rms_cosine"] == pytest.approx(rms, abs=1e-6)
    assert {"a", "b", "verdict", "reason", "norm_ratio", "shared_a"} <= set(pair)


def test_check_takes_three_and_says_one_pair_each(
    write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    folders = [write_adapter(name, seed=seed) for seed, name in enumerate(("a", "b", "c"))]
    found = answer(superpose, "check", *folders, "--json")
    assert [(pair["a"], pair["b"]) for pair in found["pairs"]] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    whole = [np.concatenate([delta.ravel() for delta in dense(f).values()]) for f in folders]
    energy = np.sum(np.square(sum(whole))) / sum(np.sum(np.square(delta)) for delta in whole)
    assert found["sum"]["energy_ratio"] == pytest.approx(energy, rel=1e-6)


def test_check_prints_a_table_for_people(write_adapter: WriteAdapter, superpose: Superpose) -> None:
    ended = superpose("check", write_adapter("math", seed=1), write_adapter("law", seed=2))
    assert ended.returncode == 0, ended.stderr
    assert "math" in ended.stdout
    assert "law" in ended.stdout


def test_add_writes_the_weighted_sum_of_the_dense_deltas(
    write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    math = write_adapter("math", seed=1)
    law = write_adapter("law", seed=2, rank=3, modules=("model.layers.0.self_attn.q_proj",))
    out = math.parent / "both"
    ended = superpose("add", math, f"{law}:-0.5", "-o", out)
    assert ended.returncode == 0, ended.stderr
    x, y, both = dense(math), dense(law), dense(out)
    assert set(both) == set(x)
    for module, delta in x.items():
        expected = delta - 0.5 * y.get(module, np.zeros_like(delta))
        np.testing.assert_allclose(both[module], expected, rtol=0, atol=1e-6)


def test_add_writes_nothing_where_something_stands(
    write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    math, law = write_adapter("math", seed=1), write_adapter("law", seed=2)
    before = (law / "adapter_model.safetensors").read_bytes()
    ended = superpose("add", math, law, "-o", law)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert (law / "adapter_model.safetensors").read_bytes() == before


def test_add_keeps_bfloat16(write_adapter: WriteAdapter, superpose: Superpose) -> None:
    folder = write_adapter("math", seed=1)
    file = folder / "adapter_model.safetensors"
    save_file({key: t.astype(ml_dtypes.bfloat16) for key, t in load_file(file).items()}, file)
    out = folder.parent / "twice"
    ended = superpose("add", f"{folder}:2", "-o", out)
    assert ended.returncode == 0, ended.stderr
    written = load_file(out / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in written.values()} == {np.dtype(ml_dtypes.bfloat16)}
    for module, delta in dense(folder).items():
        np.testing.assert_array_equal(dense(out)[module], 2 * delta)


def test_bake_adds_the_dense_deltas_to_the_base_and_verify_proves_it(
    write_adapter: WriteAdapter, superpose: Superpose, tmp_path: Path
) -> None:
    math, law = write_adapter("math", seed=1), write_adapter("law", seed=2, rank=3, alpha=1.0)
    base, out = tmp_path / "base", tmp_path / "out"
    base.mkdir()
    (base / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    rng = np.random.default_rng(0)
    before = {f"{m}.weight": rng.normal(size=(8, 8)).astype(np.float32) for m in dense(math)}
    save_file(before, base / "model.safetensors")
    ended = superpose("bake", base, math, f"{law}:-0.5", "-o", out)
    assert ended.returncode == 0, ended.stderr
    after = load_file(out / "model.safetensors")
    for module, delta in dense(math).items():
        expected = before[f"{module}.weight"] + delta - 0.5 * dense(law)[module]
        np.testing.assert_allclose(after[f"{module}.weight"], expected, rtol=0, atol=1e-5)
    assert answer(superpose, "verify", base, math, f"{law}:-0.5", out, "--json")["holds"] is True
    assert superpose("verify", base, math, law, out).returncode == 1


def test_info_tells_what_is_in_an_adapter(
    write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    ended = superpose("info", write_adapter("math", rank=3, base_model="org/tiny-llama"))
    assert ended.returncode == 0, ended.stderr
    assert "org/tiny-llama" in ended.stdout
    assert "q_proj" in ended.stdout


def test_a_folder_that_is_no_adapter_ends_with_2(tmp_path: Path, superpose: Superpose) -> None:
    ended = superpose("check", tmp_path, tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert str(tmp_path) in ended.stderr
    assert "Traceback" not in ended.stderr
