"""GGUF LoRA files as llama.cpp's own package writes them, nothing of superpose's writer in them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

WriteLora = Callable[..., Path]

WITHOUT_LLAMA_CPP = "needs llama-cpp-python, which compiles: make test-llama"


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


class Engine:
    """A model that llama.cpp loaded; logits with any adapters at any scales."""

    def __init__(self, path: Path) -> None:
        import llama_cpp

        self.library = llama_cpp
        # Keys and values in float32: in halves they would hide the rest.
        self.llm = self.library.Llama(
            model_path=str(path), n_ctx=64, n_batch=64, n_threads=1, logits_all=True,
            type_k=0, type_v=0, verbose=False,
        )  # fmt: skip

    def logits(self, tokens: Sequence[int], *adapters: tuple[Path, float]) -> np.ndarray:
        """Logits of all tokens (tokens, vocabulary); adapters: files with their scales."""
        with self._loaded(adapters):
            self.llm.reset()
            self.llm.eval(list(tokens))
            return np.array(self.llm.scores[: len(tokens)], dtype=np.float64)

    def greedy(self, tokens: Sequence[int], count: int, *adapters: tuple[Path, float]) -> list[int]:
        """The likeliest next token, `count` times."""
        with self._loaded(adapters):
            found = self.llm.generate(list(tokens), temp=0.0, top_k=1, repeat_penalty=1.0)
            return [token for token, _ in zip(found, range(count), strict=False)]

    @contextmanager
    def _loaded(self, adapters: Sequence[tuple[Path, float]]) -> Iterator[None]:
        library, model, context = self.library, self.llm._model.model, self.llm._ctx.ctx
        found = [library.llama_adapter_lora_init(model, str(path).encode()) for path, _ in adapters]
        assert all(found), f"llama.cpp does not load one of {[path.name for path, _ in adapters]}"
        handles = (library.llama_adapter_lora_p_ctypes * len(found))(*found)
        scales = (ctypes.c_float * len(found))(*(scale for _, scale in adapters))
        assert library.llama_set_adapters_lora(context, handles, len(found), scales) == 0
        try:
            yield
        finally:
            library.llama_set_adapters_lora(context, handles, 0, scales)
            for handle in found:
                library.llama_adapter_lora_free(handle)


@pytest.fixture
def engine() -> Iterator[Callable[[Path], Engine]]:
    """Load a model with llama.cpp; it is let go at the end."""
    pytest.importorskip("llama_cpp", reason=WITHOUT_LLAMA_CPP)
    made: list[Engine] = []

    def load(path: Path) -> Engine:
        made.append(Engine(path))
        return made[-1]

    yield load
    for one in made:
        one.llm.close()
