"""The base model: from a name to a loaded model and tokenizer, once a process.

A name is `smollm2` (the embedded default), a transformers folder, or a hub name: `org/name`,
`org/name/folder@revision`, an address from a browser.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from superpose.errors import BadInput, MissingBase, MissingExtra
from superpose.files.hub_name import parse_base_name
from superpose.landscape import smollm2

__all__ = ["BaseModel", "load_base"]


@dataclass(frozen=True)
class BaseModel:
    """A frozen causal language model, its tokenizer, and the name it was asked for by.

    revision: of its repository on the hub, where one was asked for.
    """

    name: str
    path: str
    model: Any
    tokenizer: Any
    revision: str | None = None


def load_base(name: str | Path, *, dtype: str = "float32", device: str | None = None) -> BaseModel:
    """Load a base model, or give back the one that this process has loaded already.

    dtype: the weights' dtype in memory (float32, bfloat16 or float16).
    device: `cpu`, `cuda`, ...; by default an accelerator where torch finds one.

    Raises MissingBase where it is not here, MissingExtra without torch and transformers,
    BadInput where a folder holds no causal language model.
    """
    return _load(str(name), dtype, device)


@lru_cache(maxsize=2)
def _load(name: str, dtype: str, device: str | None) -> BaseModel:
    torch, transformers = _libraries()
    if dtype not in {"float32", "bfloat16", "float16"}:
        raise BadInput(f"unknown dtype {dtype!r}", hint="Use float32, bfloat16 or float16.")
    path, options = _resolve(name)
    _ask_whether_smollm2_was_meant(path)
    transformers.utils.logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, **options)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            path, dtype=getattr(torch, dtype), **options
        )
    except (OSError, ValueError, KeyError) as error:
        raise _not_loaded(name, path, error) from error
    finally:
        transformers.utils.logging.enable_progress_bar()
    if device is None:
        device = str(torch.accelerator.current_accelerator() or "cpu")
    model.requires_grad_(False)
    # PEFT writes this name into every adapter trained here and into its card; a cache path would
    # tell nobody, and the revision has a field of its own.
    model.name_or_path = model.config.name_or_path = _known_as(name)
    return BaseModel(name, path, model.to(device).eval(), tokenizer, options.get("revision"))


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra(
            f"loading a base model needs {error.name}",
            hint='Install it with: pip install "superpose[study]"',
        ) from None
    return torch, transformers


def _resolve(name: str) -> tuple[str, dict[str, str]]:
    """Give the folder or repository of a name, and what else from_pretrained has to be told."""
    if name == smollm2.NAME:
        return str(smollm2.folder()), {}
    path = Path(name).expanduser()
    on_hub = None if path.exists() else parse_base_name(name)
    if on_hub is None:
        return str(path), {}
    options = {"revision": on_hub.revision, "subfolder": on_hub.path}
    return on_hub.repo, {key: value for key, value in options.items() if value}


def _known_as(name: str) -> str:
    """What an adapter of this base model calls it."""
    if name == smollm2.NAME:
        return smollm2.HUB_NAME
    on_hub = None if Path(name).expanduser().exists() else parse_base_name(name)
    return name if on_hub is None else str(replace(on_hub, revision=None))


def _ask_whether_smollm2_was_meant(path: str) -> None:
    """Before the hub is asked, and asked again, for a name that differs by a letter or two."""
    if not Path(path).exists() and difflib.get_close_matches(path, [smollm2.NAME], cutoff=0.8):
        raise MissingBase(
            f"the base model {path!r} is not here", hint=f"Did you mean `{smollm2.NAME}`?"
        )


def _not_loaded(name: str, path: str, error: Exception) -> BadInput | MissingBase:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if Path(path).exists():
        return BadInput(f"this is no causal language model of transformers: {reason}", where=path)
    return MissingBase(
        f"the base model {name!r} is not here: {reason}",
        hint="Give a folder written by save_pretrained, a hub name (with network, and "
        "`hf auth login` for gated models), or `smollm2`.",
    )
