"""The base model: from a name to a loaded model and tokenizer, once a process.

`files.base` says what a name means.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from superpose.errors import BadInput, MissingBase, missing_extra
from superpose.files.base import BaseName, adapter_for_base, check_no_adapter, read_base_name

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


def load_base(
    name: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    device: str | None = None,
    beside: str | os.PathLike[str] | None = None,
) -> BaseModel:
    """Load a base model, or give back the one that this process has loaded already.

    name: `smollm2`, a transformers folder, or a hub name such as `org/name@revision`, which
    transformers fetches. dtype: the weights' dtype in memory (float32, bfloat16 or float16).
    device: `cpu`, `cuda`, ...; by default an accelerator where torch finds one.
    beside: a folder in which a path is looked for before the working folder.

    Raises MissingBase where it is not here, MissingExtra without torch and transformers,
    BadInput where a folder holds no causal language model.
    """
    _libraries()
    return _load(read_base_name(name, beside=beside), dtype, device)


@lru_cache(maxsize=2)
def _load(name: BaseName, dtype: str, device: str | None) -> BaseModel:
    torch, transformers = _libraries()
    if dtype not in {"float32", "bfloat16", "float16"}:
        raise BadInput(f"unknown dtype {dtype!r}", hint="Use float32, bfloat16 or float16.")
    path, options = _for_transformers(name)
    transformers.utils.logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, **options)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            path, dtype=getattr(torch, dtype), **options
        )
    except (OSError, ValueError, KeyError) as error:
        raise _not_loaded(name.given, path, error) from error
    finally:
        transformers.utils.logging.enable_progress_bar()
    if getattr(model, "_hf_peft_config_loaded", False):
        raise adapter_for_base(name.given)
    if device is None:
        device = str(torch.accelerator.current_accelerator() or "cpu")
    model.requires_grad_(False)
    # PEFT writes this name into every adapter trained here and into its card; a cache path would
    # tell nobody, and the revision has a field of its own.
    model.name_or_path = model.config.name_or_path = name.name
    return BaseModel(name.given, path, model.to(device).eval(), tokenizer, name.revision)


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise missing_extra(error.name, "loading a base model") from None
    return torch, transformers


def _for_transformers(name: BaseName) -> tuple[str, dict[str, str]]:
    """Give the folder or repository of a name, and what else from_pretrained has to be told.

    Of a hub's repository transformers fetches itself what it loads, pickled weights as well.
    """
    if name.on_hub is None:
        folder = name.folder()
        # transformers would load the adapter's own base model, with the adapter in it.
        check_no_adapter(folder, name.given)
        return str(folder), {}
    options = {"revision": name.revision, "subfolder": name.on_hub.path}
    return name.on_hub.repo, {key: value for key, value in options.items() if value}


def _not_loaded(name: str, path: str, error: Exception) -> BadInput | MissingBase:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if Path(path).exists():
        return BadInput(f"this is no causal language model of transformers: {reason}", where=path)
    return MissingBase(
        f"the base model {name!r} is not here: {reason}",
        hint="Give a folder written by save_pretrained, a hub name (with network, and "
        "`hf auth login` for gated models), or `smollm2`.",
    )
