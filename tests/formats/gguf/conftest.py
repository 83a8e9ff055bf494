"""GGUF LoRA files as llama.cpp's own package writes them, nothing of superpose's writer in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

WriteLora = Callable[..., Path]


@pytest.fixture
def write_lora(tmp_path: Path) -> WriteLora:
    """Write a GGUF LoRA file: tensors by name, alpha, more metadata; None leaves a key out."""

    def write(
        name: str,
        tensors: Mapping[str, np.ndarray],
        *,
        architecture: str = "llama",
        alpha: float | None = None,
        kind: str | None = "adapter",
        method: str | None = "lora",
        quantised: gguf.GGMLQuantizationType | None = None,
        **metadata: Any,
    ) -> Path:
        path = tmp_path / f"{name}.gguf"
        writer = gguf.GGUFWriter(path, architecture)
        for key, text in {"general.type": kind, "adapter.type": method}.items():
            if text is not None:
                writer.add_string(key, text)
        if alpha is not None:
            writer.add_float32("adapter.lora.alpha", alpha)
        for key, text in metadata.items():
            writer.add_string(key.replace("__", "."), text)
        for tensor, values in tensors.items():
            if quantised is None:
                writer.add_tensor(tensor, values)
            else:
                writer.add_tensor(tensor, gguf.quantize(values, quantised), raw_dtype=quantised)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


def pair(tensor: str, B: np.ndarray, A: np.ndarray) -> dict[str, np.ndarray]:
    """Name two factors as llama.cpp does."""
    return {f"{tensor}.weight.lora_a": A, f"{tensor}.weight.lora_b": B}


@pytest.fixture
def factors() -> Callable[..., dict[str, np.ndarray]]:
    """Give random factors of a tensor under llama.cpp's names."""

    def give(
        tensor: str, out: int = 16, width: int = 32, rank: int = 2, seed: int = 0
    ) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        B = rng.normal(size=(out, rank)).astype(np.float32)
        A = rng.normal(size=(rank, width)).astype(np.float32)
        return pair(tensor, B, A)

    return give


@pytest.fixture
def config_json(tmp_path: Path) -> Callable[..., Path]:
    """Write a base model's config.json into a folder of its own and give the folder."""

    def write(architecture: str, **settings: Any) -> Path:
        import json

        folder = tmp_path / f"base-{architecture}"
        folder.mkdir(exist_ok=True)
        config = {"architectures": [architecture], **settings}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return folder

    return write
