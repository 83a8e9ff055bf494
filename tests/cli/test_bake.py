"""`superpose bake` writes base + sum as a model; `superpose verify` proves it or says why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import ml_dtypes  # noqa: F401 (teaches NumPy the name bfloat16)
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

if TYPE_CHECKING:
    from tests.conftest import Superpose, WriteAdapter

Q, V = (f"model.layers.0.self_attn.{x}_proj" for x in "qv")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base model in bfloat16's clothes: a few matrices and a norm."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "base"
    folder.mkdir()
    tensors = {f"{x}.weight": rng.normal(size=(8, 8)).astype(np.float32) for x in (Q, V, "lm_head")}
    save_file(
        {**tensors, "model.norm.weight": np.ones(8, np.float32)}, folder / "model.safetensors"
    )
    settings = {"model_type": "llama", "tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_a_baked_model_is_told_and_proved(
    base: Path, write_adapter: WriteAdapter, superpose: Superpose, tmp_path: Path
) -> None:
    a, b = write_adapter("a"), write_adapter("b", seed=1, modules=(Q,))
    out = tmp_path / "out"
    done = superpose("bake", base, a, f"{b}:0.5", "-o", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"wrote {out}: {base} + a + 0.5*b\n")
    assert "2 tensors changed, 2 copied as they are" in done.stdout
    assert (out / "tokenizer.json").exists()
    proved = superpose("verify", base, a, f"{b}:0.5", out)
    assert proved.returncode == 0, proved.stderr
    assert "is the sum: 2 changed tensors are base + sum" in proved.stdout
    same = superpose("verify", base, a, b, "--weights", "1,0.5", out, "--json")
    assert json.loads(same.stdout)["holds"] is True


def test_what_differs_ends_with_1_and_is_named(
    base: Path, write_adapter: WriteAdapter, superpose: Superpose, tmp_path: Path
) -> None:
    a, out = write_adapter("a"), tmp_path / "out"
    assert superpose("bake", base, a, "-o", out, "--dtype", "bfloat16").returncode == 0
    tensors = load_file(out / "model.safetensors")
    tensors[f"{V}.weight"].view(np.uint16)[2, 3] ^= 1
    save_file(tensors, out / "model.safetensors", {"format": "pt"})
    done = superpose("verify", base, a, out, "--json")
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert said["holds"] is False
    assert [failure["name"] for failure in said["failures"]] == [f"{V}.weight"]
    assert f"1 of 4 tensors differ:\n  - {V}.weight: is off by" in done.stderr


def test_a_written_sum_is_proved_and_an_approximation_is_not(
    base: Path, write_adapter: WriteAdapter, superpose: Superpose, tmp_path: Path
) -> None:
    a, b = write_adapter("a"), write_adapter("b", seed=1)
    for name, options in (("sum", ()), ("small", ("--rank", "1"))):
        assert superpose("add", a, b, "-o", tmp_path / name, *options).returncode == 0
    proved = superpose("verify", base, a, b, tmp_path / "sum")
    assert proved.returncode == 0, proved.stderr
    assert "2 target modules agree" in proved.stdout
    done = superpose("verify", base, a, b, tmp_path / "small")
    assert done.returncode == 1
    assert "2 of 2 target modules differ" in done.stderr
    assert done.stdout == ""


def test_a_base_that_is_not_here_ends_with_3(
    base: Path, write_adapter: WriteAdapter, superpose: Superpose, tmp_path: Path
) -> None:
    a = write_adapter("a")
    assert superpose("bake", base, a, "-o", tmp_path / "out").returncode == 0
    for command in (("verify",), ("bake", "-o", tmp_path / "new")):
        name, *options = command
        result = [tmp_path / "out"] if name == "verify" else []
        done = superpose(name, tmp_path / "no" / "base", a, *result, *options)
        assert done.returncode == 3, done.stderr
        assert not (tmp_path / "new").exists()


def test_bad_input_ends_with_2_and_says_what_is_wrong(
    base: Path, write_adapter: WriteAdapter, superpose: Superpose, tmp_path: Path
) -> None:
    a, wide = write_adapter("a"), write_adapter("wide", width=16)
    other = write_adapter("other", modules=("model.layers.7.mlp.up_proj",))
    out = tmp_path / "out"
    for arguments, said in (
        ((base, wide, "-o", out), "has shape (16, 16) in the adapter and (8, 8) in the base"),
        ((base, other, "-o", out), "model.layers.7.mlp.up_proj"),
        ((base, a, "-o", base), "is the base model itself"),
        ((base, a, "-o", out, "--dtype", "int4"), "unknown dtype"),
    ):
        done = superpose("bake", *arguments)
        assert done.returncode == 2, (said, done.stderr)
        assert said in done.stderr
        assert not out.exists()
    alone = superpose("verify", base, a)
    assert alone.returncode == 2
    assert "give at least one adapter" in alone.stderr


def test_force_replaces_a_model_of_ours_and_nothing_else(
    base: Path, write_adapter: WriteAdapter, superpose: Superpose, tmp_path: Path
) -> None:
    a, out = write_adapter("a"), tmp_path / "out"
    assert superpose("bake", base, a, "-o", out).returncode == 0
    assert superpose("bake", base, a, "-o", out).returncode == 2
    done = superpose("bake", base, f"{a}:2", "-o", out, "--force", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["changed"] == 2
    assert said["parents"][0]["weight"] == 2.0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("!")
    refused = superpose("bake", base, a, "-o", tmp_path / "mine", "--force")
    assert refused.returncode == 2
    assert (tmp_path / "mine" / "thesis.txt").exists()
