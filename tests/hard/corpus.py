"""The small files that `tests.hard.fuzz` changes, one folder a reader: made by this, and committed.

python -m tests.hard.corpus
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

__all__ = ["CORPUS", "READERS"]

CORPUS = Path(__file__).parent / "corpus"


def _loaded(path: Path) -> None:
    import superpose

    adapter = superpose.load(path)
    superpose.check([adapter, adapter + 0.5 * adapter])


def _header(path: Path) -> None:
    from superpose.files import read_header

    read_header(path)


def _questions(path: Path) -> None:
    from superpose.data.domain import read_rows

    read_rows(path)


def _study(path: Path) -> None:
    from superpose.studies.spec import load_spec

    load_spec(path)


def _index(path: Path) -> None:
    from superpose.library.opened import cosines_of_sketches, open_library

    library = open_library(path)
    cosines_of_sketches(library, library.sketches[0], range(len(library.entries)))


def _weights(path: Path) -> None:
    from superpose.verbs.weights_file import read_weights_file

    read_weights_file(path)


def _statistics(path: Path) -> None:
    from superpose.data.input_statistics import InputStatistics

    moments = InputStatistics.load(path)
    for name in moments:
        moments[name]


READERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "safetensors header": ("header.safetensors", _header),
    "PEFT folder": ("adapter", _loaded),
    "kohya file": ("kohya.safetensors", _loaded),
    "diffusers folder": ("diffusers", _loaded),
    "GGUF adapter": ("adapter.gguf", _loaded),
    "question file": ("questions.jsonl", _questions),
    "study file": ("study.yaml", _study),
    "library index": ("library.index", _index),
    "weights file": ("weights.json", _weights),
    "statistics": ("input_statistics.safetensors", _statistics),
}
"""Each reader, what its file or folder in the corpus is called, and how it is read."""


def _write() -> None:
    import superpose
    from superpose.data.input_statistics import InputStatistics
    from superpose.lowrank.second_moment import SecondMoment

    shutil.rmtree(CORPUS, ignore_errors=True)
    CORPUS.mkdir()
    rng = np.random.default_rng(0)

    def factor(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    tensors = {}
    for name in ("q_proj", "v_proj"):
        key = f"base_model.model.model.layers.0.self_attn.{name}"
        tensors |= {f"{key}.lora_A.weight": factor(2, 4), f"{key}.lora_B.weight": factor(4, 2)}
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "org/tiny",
        "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"], "bias": "none",
        "rank_pattern": {"v_proj": 2}, "alpha_pattern": {"q_proj": 8}, "use_rslora": False,
    }  # fmt: skip
    (CORPUS / "adapter").mkdir()
    save_file(tensors, CORPUS / "adapter/adapter_model.safetensors", {"format": "pt"})
    (CORPUS / "adapter/adapter_config.json").write_text(json.dumps(config))
    save_file({"a": factor(2, 2), "b": factor(3).astype(np.float16)}, CORPUS / "header.safetensors")
    block = "unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    kohya = {
        f"lora_{block}.lora_down.weight": factor(2, 4),
        f"lora_{block}.lora_up.weight": factor(4, 2),
        f"lora_{block}.alpha": np.array(2.0, np.float32),
    }
    save_file(kohya, CORPUS / "kohya.safetensors", {"ss_base_model_version": "sd_v1"})
    where = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    lora = {f"{where}.lora_A.weight": factor(2, 4), f"{where}.lora_B.weight": factor(4, 2)}
    (CORPUS / "diffusers").mkdir()
    save_file(lora, CORPUS / "diffusers/pytorch_lora_weights.safetensors")
    _write_gguf()
    rows = [
        {"question": f"What is {n}?", "answer": f"{n}.", "choices": [f"{n}.", "no"]}
        for n in range(3)
    ]
    (CORPUS / "questions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (CORPUS / "study.yaml").write_text(
        "name: tiny\nbase: smollm2\ndomains:\n  math: {data: math.jsonl}\n"
        "  law: {data: law.jsonl}\n"
        "train_rows: 8\ntest_rows: 4\nseeds: [0, 1]\nprompt: {max_tokens: 64}\n"
        "lora: {rank: 2, alpha: 8, targets: [q_proj]}\ntraining: {epochs: 1, learning_rate: 1e-3}\n"
    )
    (CORPUS / "weights.json").write_text(json.dumps({"weights": {"math": 1.0, "law": 0.5}}))
    moment = SecondMoment(np.eye(4, 2), np.array([2.0, 1.0]), 0.5)
    statistics = InputStatistics({"model.layers.0.self_attn.q_proj": moment}, "org/tiny", 3, 6)
    statistics.save(CORPUS / "input_statistics.safetensors")
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="corpus-") as folder:
        os.chdir(folder)
        shutil.copytree(CORPUS / "adapter", "library/math")
        shutil.copytree(CORPUS / "adapter", "library/copy")
        superpose.index(["library"], out="library.index")
        shutil.copytree("library.index", CORPUS / "library.index")


def _write_gguf() -> None:
    import superpose

    base = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4,
        "num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1,
        "intermediate_size": 8, "vocab_size": 16,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(base))
        adapter = superpose.load(CORPUS / "adapter")
        superpose.save(adapter, CORPUS / "adapter.gguf", engine="llama.cpp", base=folder)


if __name__ == "__main__":
    _write()
