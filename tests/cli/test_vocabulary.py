"""Added tokens on the command line: the command that a refusal prints is run as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file
from tests.baking.conftest import llama, load
from tests.baking.grown import WHOLE, Grown, said
from tests.cli.conftest import Run
from tests.pasted import follow

from superpose.files.checkpoint import Checkpoint


@pytest.mark.parametrize("command", ["add", "bake"])
@pytest.mark.parametrize("beside", ["plain", "nothing"])
def test_a_share_of_added_tokens_is_refused_and_the_command_that_is_printed_makes_it_work(
    command: str, beside: str, run: Run, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    made = Grown(tmp_path, llama())
    whole, plain = made.trained("whole", **WHOLE), made.trained("plain", 1)
    given = [f"{whole}:0.5", *([str(plain)] if beside == "plain" else [])]

    def words(base: Path) -> list[object]:
        out = ["-o", made.folder / f"{base.name}-out"]
        return (
            ["add", *given, *out, "--base", base]
            if command == "add"
            else ["bake", base, *given, *out]
        )

    refused = run(*words(made.base))
    assert refused.code == 2
    assert "Only the vocabulary differs: the adapter was trained with 2 tokens more" in refused.err
    assert "another base model?" not in refused.err
    follow(refused.err, cwd=made.folder)
    resized = made.folder / "base-34"
    done = run(*words(resized))
    assert done.code == 0, done.err
    assert run("verify", resized, *given, made.folder / "base-34-out").code == 0
    if beside == "plain":
        key = "model.embed_tokens.weight"
        copy = load_file(plain / "adapter_model.safetensors")[f"base_model.model.{key}"]
        assert (Checkpoint.open(resized).read(key) == copy).all()


def test_tokens_that_are_stored_whole_or_beside_the_adapter_are_baked_onto_the_original_base(
    run: Run, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    made = Grown(tmp_path, llama())
    for name, settings in (("whole", WHOLE), ("plain", {})):
        adapter = made.trained(name, **settings)
        done = run("bake", made.base, adapter, "-o", tmp_path / f"{name}-model", "-q")
        assert done.code == 0, done.err
        assert "the vocabulary has 34 rows" in done.out
        assert run("verify", made.base, adapter, tmp_path / f"{name}-model", "-q").code == 0
        model = load(tmp_path / f"{name}-model")
        assert torch.allclose(said(model), made.right(adapter), atol=1e-5)
