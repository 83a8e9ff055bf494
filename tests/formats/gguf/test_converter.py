"""llama.cpp's own converter makes the same file of a PEFT folder, tensor by tensor.

Runs where LLAMA_CPP names llama.cpp's sources, which `make test-llama` has. GPT-2 is left out: the
converter transposes its factors as if they were its weights, and llama.cpp does not load that;
`test_llama_cpp.py` asks llama.cpp itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

import superpose
from superpose.adapter import Adapter, Delta, Place
from superpose.formats.gguf.architectures import ARCHITECTURES, Architecture

SOURCES = os.environ.get("LLAMA_CPP")
pytestmark = pytest.mark.skipif(
    SOURCES is None, reason="needs llama.cpp's sources, named by LLAMA_CPP: make test-llama"
)

TYPES = {name: kind for kind, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()}
TINY = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 61,
}
# Rows and columns of a layer by its last name; what is not here is (96, 64).
SHAPES = {
    "q_proj": (64, 64),
    "k_proj": (32, 64),
    "v_proj": (32, 64),
    "o_proj": (64, 64),
    "dense": (64, 64),
    "qkv_proj": (128, 64),
    "gate_up_proj": (192, 64),
    "down_proj": (64, 96),
    "c_proj": (64, 96),
    "fc2": (64, 96),
    "shared_expert_gate": (1, 64),
    "lm_head": (61, 64),
}


def layers(architecture: Architecture) -> Iterator[str]:
    """The dense linear layers of the table, of two layers of a model."""
    for module in architecture.names:
        dense = not any(part in module for part in ("expert", "sparse_moe", "mlp.gate"))
        if dense or module.endswith("mlp.gate_proj"):
            ends = module in ("lm_head", "model.embed_tokens")
            if not (ends and architecture.tied):
                yield from {module.replace(".N.", f".{layer}.") for layer in (0, 1)}


def adapter_of(architecture: Architecture) -> Adapter:
    rng = np.random.default_rng(0)
    deltas: dict[str, Delta] = {}
    for module in layers(architecture):
        place = None
        out, width = SHAPES.get(module.rpartition(".")[2], (96, 64))
        if module.endswith("embed_tokens"):
            place, (out, width) = Place(module, kind="embedding"), (64, 61)
        B = rng.normal(size=(out, 3)).astype(np.float32)
        deltas[module] = Delta.of(B, rng.normal(size=(3, width)).astype(np.float32), 1.0, place)
    return Adapter(deltas)


def tensors(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    reader = gguf.GGUFReader(path)
    architecture: Any = reader.fields["general.architecture"].contents()
    return architecture, {t.name: np.array(t.data) for t in reader.tensors}


@pytest.mark.parametrize(
    "architecture",
    [a for a in ARCHITECTURES.values() if not a.wrapped and a.gguf != "gpt2"],
    ids=lambda a: a.name,
)
def test_the_converter_makes_the_same_file(architecture: Architecture, tmp_path: Path) -> None:
    config = CONFIG_MAPPING[TYPES[architecture.name]](**TINY)
    config.architectures = [architecture.name]
    config.save_pretrained(tmp_path / "base")
    adapter = adapter_of(architecture)
    superpose.save(adapter, tmp_path / "folder")
    superpose.save(adapter, tmp_path / "ours.gguf", base=tmp_path / "base")
    command = [sys.executable, Path(SOURCES or "") / "convert_lora_to_gguf.py"]
    options = ["--base", "base", "--outfile", "theirs.gguf", "folder"]
    ended = subprocess.run(
        [*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    kind, theirs = tensors(tmp_path / "theirs.gguf")
    ours_kind, ours = tensors(tmp_path / "ours.gguf")
    assert kind == ours_kind
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        np.testing.assert_array_equal(tensor, theirs[name], err_msg=name)
