"""`superpose add`, `check` and `info` on image LoRAs, as a user types them."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from superpose.errors import BadInput
from superpose.verbs.add import add

MODULES = {
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q": (12, 8),
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_ff_net_0_proj": (16, 8),
    "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q": (12, 8),
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with two kohya files, `cats` and `dogs`, of one base model."""
    for seed, name in enumerate(("cats", "dogs")):
        rng = np.random.default_rng(seed)
        tensors: dict[str, Any] = {}
        for module, (out, into) in MODULES.items():
            tensors[f"{module}.lora_down.weight"] = rng.normal(size=(2, into)).astype(np.float16)
            tensors[f"{module}.lora_up.weight"] = rng.normal(size=(out, 2)).astype(np.float16)
            tensors[f"{module}.alpha"] = np.array(1.0, np.float16)
        metadata = {"ss_base_model_version": "sd_v1", "ss_clip_skip": "2", "ss_output_name": name}
        save_file(tensors, tmp_path / f"{name}.safetensors", metadata)
    return tmp_path


def test_add_writes_one_file_of_the_same_kind(superpose: Any, files: Path) -> None:
    done = superpose(
        "add", "cats.safetensors", "dogs.safetensors:-0.5", "-o", "both.safetensors", cwd=files
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("wrote both.safetensors: cats - 0.5*dogs\n  3 target modules")
    assert "vLLM" not in done.stdout + done.stderr
    parts = [load_file(files / f"{name}.safetensors") for name in ("cats", "dogs")]
    both = load_file(files / "both.safetensors")
    assert both.keys() == parts[0].keys()
    for module in MODULES:
        first, second, found = (
            (f[f"{module}.lora_up.weight"].astype(float) @ f[f"{module}.lora_down.weight"])
            * (f[f"{module}.alpha"] / len(f[f"{module}.lora_down.weight"]))
            for f in (*parts, both)
        )
        np.testing.assert_allclose(found, first - 0.5 * second, rtol=1e-6)


def test_where_kohyas_files_cannot_go_is_said_before_they_are_added(files: Path) -> None:
    """The sum itself is told by what it would do: nothing is reached that adds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("superpose.compose.merge", lambda *_, **__: pytest.fail("was added"))
        for out, words in (("both", "kohya's format is one file"), ("both.gguf", "GGUF holds no")):
            with pytest.raises(BadInput, match=words):
                add([str(files / f"{n}.safetensors") for n in ("cats", "dogs")], files / out)
            assert not (files / out).exists()


def test_check_compares_image_loras(superpose: Any, files: Path) -> None:
    done = superpose("check", "cats.safetensors", "dogs.safetensors", "--json", cwd=files)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [a["name"] for a in found["adapters"]] == ["cats", "dogs"]
    assert len(found["pairs"][0]["modules"]) == len(MODULES)


@pytest.mark.parametrize(("other", "said"), [("dogs", "Look at images of the sum"),
                                             ("cats", "Keep one")])  # fmt: skip
def test_the_next_step_of_image_loras_can_be_pasted(
    superpose: Any, files: Path, other: str, said: str
) -> None:
    """It takes images to tell whether their sum is good, and no questions."""
    shutil.copy(files / f"{other}.safetensors", files / "copy.safetensors")
    done = superpose("check", "cats.safetensors", "copy.safetensors", "--json", cwd=files)
    step = json.loads(done.stdout)["pairs"][0]["next"]
    assert step.startswith(said)
    assert "predict" not in step
    command = step.rpartition("superpose ")[2]
    assert command.endswith("-o OUT.safetensors")
    made = superpose(*shlex.split(command), cwd=files)
    assert made.returncode == 0, made.stderr
    assert (files / "OUT.safetensors").is_file()


def test_info_gathers_modules_by_what_they_are(superpose: Any, files: Path) -> None:
    done = superpose("info", "cats.safetensors", "--json", cwd=files)
    found = json.loads(done.stdout)
    assert (found["format"], found["base"]) == ("kohya", "sd_v1")
    assert {kind["name"]: kind["module_count"] for kind in found["kinds"]} == {
        "attn1_to_q": 2,
        "ff_net_0_proj": 1,
    }
    text = superpose("info", "cats.safetensors", cwd=files).stdout
    assert "format          kohya" in text


def test_diff_says_nothing_of_how_a_files_tensors_end(superpose: Any, files: Path) -> None:
    """It is of the file's spelling, which `format` tells; JSON holds none of it either."""
    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
    random = np.random.default_rng(0)
    sides = {"lokr_w1": random.normal(size=(2, 2)), "lokr_w2": random.normal(size=(4, 4))}
    save_file({f"{name}.{end}": t for end, t in sides.items()}, files / "lokr.safetensors")
    save_file({f"{name}.diff": random.normal(size=(8, 8))}, files / "whole.safetensors")
    done = superpose("diff", "lokr.safetensors", "whole.safetensors", "--json", cwd=files)
    assert done.returncode == 1, done.stderr
    assert "marks" not in json.dumps(json.loads(done.stdout))


REFUSED = {
    ("add", "cats.safetensors", "-o", "both"): "kohya's format is one file",
    ("add", "cats.safetensors", "-o", "dogs.safetensors"): "already exists",
    ("add", "cats.safetensors", "-o", "a.gguf"): "GGUF holds no image LoRA",
    ("add", "cats.safetensors", "-o", "a.safetensors", "--for", "vllm"): "an image LoRA",
    ("add", "cats.safetensors", "-o", "a.safetensors", "--verify", "smollm2"): "no image LoRA",
    ("info", "."): "holds a kohya LoRA, which is one file",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_an_image_lora_is_not_for_is_said(
    superpose: Any, files: Path, arguments: tuple[str, ...]
) -> None:
    before = sorted(files.iterdir())
    done = superpose(*arguments, cwd=files)
    assert done.returncode == 2
    assert REFUSED[arguments] in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert sorted(files.iterdir()) == before
