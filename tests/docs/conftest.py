"""The folder that the reader of a page stands in: adapters, image LoRAs and question files."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.docs import smaller_base
from tests.docs.forks import superpose_on_path

# SmolLM2-135M's sizes, so that the adapters also fit the base model the README speaks of.
LAYERS = 30

SIZES = {
    "self_attn.q_proj": (576, 576),
    "self_attn.k_proj": (192, 576),
    "self_attn.v_proj": (192, 576),
    "self_attn.o_proj": (576, 576),
    "mlp.down_proj": (576, 1536),
}


def write_adapter_of_smollm2(
    folder: Path, seed: int, scale: float = 0.001, layers: int = LAYERS
) -> None:
    """A rank-4 adapter of SmolLM2-135M with small random factors, as PEFT would have saved it."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in range(layers):
        for name, (rows, columns) in SIZES.items():
            key = f"base_model.model.model.layers.{layer}.{name}"
            a = rng.normal(size=(4, columns)) / columns**0.5
            b = rng.normal(size=(rows, 4)) * scale
            tensors[f"{key}.lora_A.weight"] = a.astype(np.float32)
            tensors[f"{key}.lora_B.weight"] = b.astype(np.float32)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": [name.rpartition(".")[2] for name in SIZES],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")


def write_image_lora(path: Path, seed: int) -> None:
    """A LoRA of attention in UNet and text encoder, as kohya's training would have saved it."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, Any] = {}
    unet = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_"
    sizes = {f"{unet}{part}": 320 for part in ("q", "k", "v")}
    sizes["lora_te_text_model_encoder_layers_0_self_attn_q_proj"] = 64
    for module, size in sizes.items():
        for side, shape in (("down", (8, size)), ("up", (size, 8))):
            values = rng.normal(size=shape) * 0.02
            tensors[f"{module}.lora_{side}.weight"] = values.astype(np.float16)
        tensors[f"{module}.alpha"] = np.array(4, np.float16)
    tags = json.dumps({f"10_{path.stem}": {path.stem: 10}})
    save_file(tensors, path, {"ss_base_model_version": "sd_v1", "ss_tag_frequency": tags})


def fill_workplace(folder: Path, layers: int = LAYERS) -> None:
    """Write everything that a page may take as given."""
    for seed, name in enumerate(("math", "medicine", "finance", "style")):
        write_adapter_of_smollm2(folder / name, seed, layers=layers)
    for seed, name in enumerate(("math", "medicine", "finance")):  # what `superpose demo` leaves
        adapter = folder / "superpose-demo" / "adapters" / "seed-0" / f"single-{name}"
        write_adapter_of_smollm2(adapter, seed, layers=layers)
    for seed, name in enumerate(("cats", "dogs")):
        write_image_lora(folder / f"{name}.safetensors", seed)
    rows = [
        {"question": f"What is {n} plus {n}?", "answer": f"{n} plus {n} is {2 * n}."}
        for n in range(24)
    ]
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    for name in ("questions.jsonl", "math.jsonl", "medicine.jsonl"):
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def quick_program() -> Iterator[Path]:
    """Give a folder with a `superpose` that need not load torch each time."""
    with tempfile.TemporaryDirectory() as folder, superpose_on_path(Path(folder)) as found:
        yield found


@pytest.fixture(scope="session")
def smaller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a cache in which `smollm2` has its first layer and tokens alone."""
    cache = tmp_path_factory.mktemp("cache")
    smaller_base.keep_the_first(cache)
    return cache


@pytest.fixture
def workplace(quick_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in that folder, with this environment's programs first."""
    fill_workplace(tmp_path)
    _stand(tmp_path, quick_program, monkeypatch)
    return tmp_path


@pytest.fixture
def small_workplace(
    quick_program: Path, smaller: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Stand in such a folder where base model and adapters are the smaller ones."""
    fill_workplace(tmp_path, smaller_base.LAYERS)
    _stand(tmp_path, quick_program, monkeypatch)
    monkeypatch.setenv("SUPERPOSE_CACHE", str(smaller))
    return tmp_path


def _stand(folder: Path, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("COLUMNS", raising=False)
    programs = (str(program), str(Path(sys.executable).parent), os.environ["PATH"])
    monkeypatch.setenv("PATH", os.pathsep.join(programs))
