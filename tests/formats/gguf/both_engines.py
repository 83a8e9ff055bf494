"""The embedded model with random adapters: files for both engines, and what PEFT makes of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

import superpose
from superpose.adapter import Adapter, Delta
from superpose.files import embedded

SHAPES = {
    "self_attn.q_proj": (576, 576),
    "self_attn.k_proj": (192, 576),
    "self_attn.v_proj": (192, 576),
    "self_attn.o_proj": (576, 576),
    "mlp.down_proj": (576, 1536),
}
NORM = 0.6
"""Of one module: trained adapters of this model have 0.4 to 0.9 (the demo's, rank 4)."""

TEXT = "The capital of France is Paris. The capital of Italy is"


def random_adapter(seed: int) -> Adapter:
    """Rank 4 on 30 layers, as strong as a trained one."""
    rng, deltas = np.random.default_rng(seed), {}
    for layer in range(30):
        for name, (out, width) in SHAPES.items():
            B, A = rng.normal(size=(out, 4)), rng.normal(size=(4, width))
            delta = Delta.of(B.astype(np.float32), A.astype(np.float32))
            size = np.linalg.norm(B @ A)
            deltas[f"model.layers.{layer}.{name}"] = delta.with_coefficients(
                lambda one, size=size: one * NORM / float(size)
            )
    return Adapter(deltas, name=f"random{seed}", base_model=embedded.HUB_NAME)


def in_float32(source: Path, target: Path) -> None:
    """Write a model's GGUF file again with every tensor dequantised."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), field.types[0], inner)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Peft:
    """transformers and PEFT on the dequantised weights."""

    def __init__(self) -> None:
        import transformers

        folder = embedded.folder()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.tokens = self.tokenizer(TEXT)["input_ids"]
        self.folder = folder

    def model(self, adapter: Path | None) -> Any:
        """The model, with the adapter as PEFT loads it."""
        import peft
        import transformers

        with warnings.catch_warnings(action="ignore"):
            model = transformers.AutoModelForCausalLM.from_pretrained(self.folder)
            return (
                model.eval() if adapter is None else peft.PeftModel.from_pretrained(model, adapter)
            )

    def logits(self, adapter: Path | None) -> np.ndarray:
        """Of all tokens of TEXT."""
        import torch

        with torch.no_grad():
            found = self.model(adapter)(input_ids=torch.tensor([self.tokens])).logits[0]
        return np.asarray(found.double())

    def greedy(self, count: int, adapter: Path) -> list[int]:
        """The likeliest next token, `count` times."""
        import torch

        model = self.model(adapter)
        found = model.generate(
            input_ids=torch.tensor([self.tokens]), max_new_tokens=count, do_sample=False,
            min_new_tokens=count,
        )  # fmt: skip
        return [int(n) for n in found[0, len(self.tokens) :]]


def far(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.linalg.norm(x - y))


@dataclass
class Made:
    """Two adapters and their sum as files of both kinds, the base, and what PEFT makes of them.

    base, right: logits without and with the sum. effect: how far they are apart.
    """

    peft: Peft
    where: Path
    base: np.ndarray
    right: np.ndarray

    @property
    def effect(self) -> float:
        return far(self.right, self.base)

    @property
    def one(self) -> tuple[Path, float]:
        """The sum, as one file."""
        return self.where / "sum.gguf", 1.0

    @property
    def two(self) -> list[tuple[Path, float]]:
        """The two files with the weights that they have in the sum."""
        return [(self.where / "a.gguf", 1.0), (self.where / "b.gguf", -0.5)]


def make(where: Path) -> Made:
    """Write two adapters and their sum for both engines, and the base in float32."""
    peft = Peft()
    a, b = random_adapter(0), random_adapter(1)
    for name, adapter in {"a": a, "b": b, "sum": a - 0.5 * b}.items():
        superpose.save(adapter, where / f"{name}.gguf")
    superpose.save(a - 0.5 * b, where / "folder")
    in_float32(embedded.gguf_file(), where / "float32.gguf")
    return Made(peft, where, peft.logits(None), peft.logits(where / "folder"))
