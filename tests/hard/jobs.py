"""Commands that write, what they write from, and how to tell whether it is complete."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

__all__ = ["JOBS", "TIMED", "TORCH", "WRITE", "Job", "state_of", "write_inputs"]

TIMED = re.compile(
    rb'"(seconds|training|evaluation|path|next|created|time)": ("[^"]*"|[0-9.e-]+)'
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d UTC|this run [0-9.]+ s"
)
"""What is written of the clock and of the folder that it lies in."""

CHECK = ("superpose.verbs.check", "superpose.report.check", "superpose.report.page")
TORCH = ("torch", "transformers", "peft", "accelerate", "superpose.training.train")
WRITE = ("superpose.verbs.add", "superpose.formats.peft.read", "superpose.formats.peft.write")


@dataclass(frozen=True)
class Job:
    """A command. args: `OUT` stands for where it writes. out: that name, below the trial's folder.

    old: arguments of a command that wrote what stands there before, None for nothing. share: of the
    trials, for what takes seconds. modules: what it loads.
    """

    args: tuple[str, ...]
    out: str
    old: tuple[str, ...] | None = None
    share: float = 1.0
    modules: tuple[str, ...] = WRITE


_SUM = ("add", "IN/math", "IN/law:0.5", "-o", "OUT")

JOBS = {
    "add to a new folder": Job(_SUM, "sum"),
    "add --force over an old folder": Job(
        (*_SUM, "--force"), "sum", ("add", "IN/law", "IN/math:-1", "-o", "OUT")
    ),
    "add to GGUF": Job(
        (*_SUM, "--for", "llama.cpp", "--base", "IN/base"),
        "sum.gguf",
        modules=(*WRITE, "gguf", "superpose.formats.gguf.write"),
    ),
    "add to an image file": Job(
        ("add", "IN/style.safetensors", "IN/paint.safetensors:0.5", "-o", "OUT"),
        "sum.safetensors",
        modules=(*WRITE, "superpose.formats.image.write", "superpose.formats.image.read"),
    ),
    "bake": Job(
        ("bake", "IN/base", "IN/math", "IN/law:0.5", "-o", "OUT"),
        "model",
        modules=(*WRITE, "superpose.baking", "superpose.verbs.bake"),
    ),
    "extract": Job(
        ("extract", "IN/base", "IN/tuned", "--rank", "2", "-o", "OUT"),
        "extracted",
        modules=(*WRITE, "superpose.extraction.extracting", "superpose.verbs.extract"),
    ),
    "check --html": Job(
        ("check", "IN/math", "IN/law", "--html", "OUT"), "page.html", modules=(*CHECK, "jinja2")
    ),
    "train": Job(
        ("train", "IN/base", "IN/sums.jsonl", "-o", "OUT", "--epochs", "1", "--rank", "2", "-q"),
        "trained",
        share=0.2,
        modules=(*WRITE, *TORCH),
    ),
    "compress --shared": Job(
        ("compress", "--shared", "IN/math", "IN/law", "--rank", "2", "-o", "OUT"),
        "shared",
        modules=(*WRITE, "superpose.verbs.compress"),
    ),
}


def write_inputs(folder: Path, base: Path) -> None:
    """Write what the commands read: adapters, image files, a base model and one fine-tuned."""
    from tests.conftest import write_questions

    from superpose.verbs.bake import bake

    shutil.copytree(base, folder / "base")
    for seed, name in enumerate(("math", "law")):
        _adapter(folder / name, seed)
    for seed, name in enumerate(("style", "paint")):
        _image(folder / f"{name}.safetensors", seed)
    bake(folder / "base", [str(folder / "math")], folder / "tuned")
    write_questions(folder)


def _adapter(folder: Path, seed: int) -> None:
    folder.mkdir()
    rng, tensors = np.random.default_rng(seed), {}
    for layer in range(2):
        for name, (out, into) in {"q_proj": (32, 32), "v_proj": (16, 32)}.items():
            key = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[f"{key}.lora_A.weight"] = rng.normal(size=(4, into)).astype(np.float32)
            tensors[f"{key}.lora_B.weight"] = rng.normal(size=(out, 4)).astype(np.float32)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "org/tiny-llama",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "v_proj"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")


def _image(path: Path, seed: int) -> None:
    rng, tensors = np.random.default_rng(seed), {}
    for block in range(2):
        for part in ("q", "k", "v"):
            key = f"lora_unet_down_blocks_{block}_attentions_0_transformer_blocks_0_attn1_to_{part}"
            tensors[f"{key}.lora_down.weight"] = rng.normal(size=(4, 32)).astype(np.float32)
            tensors[f"{key}.lora_up.weight"] = rng.normal(size=(32, 4)).astype(np.float32)
            tensors[f"{key}.alpha"] = np.array(4.0, np.float32)
    save_file(
        tensors, path, {"ss_network_module": "networks.lora", "ss_base_model_version": "sd_v1"}
    )


def state_of(path: Path) -> dict[str, str] | None:
    """Give the digest of each file of an output, without clock; None where nothing stands."""
    if not path.exists():
        return None
    files = [path] if path.is_file() else [p for p in sorted(path.rglob("*")) if p.is_file()]
    return {
        str(file.relative_to(path.parent)): hashlib.sha256(
            TIMED.sub(b"", file.read_bytes())
        ).hexdigest()
        for file in files
    }
