"""The base model: from a name to a loaded model and tokenizer, once a process.

`files.base` says what a name means.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from superpose.arguments import typed
from superpose.errors import BadInput, BadSetting, MissingBase, Refused, missing_extra
from superpose.executor.cores import granted_cores
from superpose.files.bars import without_bars
from superpose.files.base import BaseName, read_base_name
from superpose.files.file_format import PEFT
from superpose.files.for_transformers import check_files, check_safetensors
from superpose.files.hub_base import adapter_for_base
from superpose.model.device import AUTO, device_here

__all__ = ["BaseModel", "load_base"]


@dataclass(frozen=True)
class BaseModel:
    """A frozen causal language model, its tokenizer, and the name it was asked for by.

    revision: of its repository on the hub, where one was asked for. device: where it was asked to
    be, which the model may tell more exactly.
    """

    name: str
    path: str
    model: Any
    tokenizer: Any
    revision: str | None = None
    device: str = AUTO


@typed
def load_base(
    name: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    device: str | None = AUTO,
    beside: str | os.PathLike[str] | None = None,
) -> BaseModel:
    """Load a base model, or give back the one that this process has loaded already.

    One whose folder was written to since is loaded again.

    name: `smollm2`, a transformers folder, or a hub name such as `org/name@revision`. Weights are
    read from safetensors alone, and code that a model brings is never run.
    dtype: the weights' dtype in memory (float32, bfloat16 or float16).
    device: `cpu`, `cuda`, `cuda:1`, `mps`, ...; `auto` and None are an accelerator where torch
    finds one. torch keeps no more threads than this machine grants (`granted_cores`), from here on.
    beside: a folder in which a path is looked for before the working folder.

    Raises MissingBase where it is not here, MissingExtra without torch and transformers,
    BadSetting for a device that torch cannot use, BadInput where a folder holds no causal language
    model, its weights are pickles, or it cannot be loaded without code of its own.
    """
    torch, _ = _libraries()
    torch.set_num_threads(min(torch.get_num_threads(), granted_cores()))
    meant = read_base_name(name, beside=beside)
    return _load(meant, dtype, AUTO if device is None else device, _written(meant))


def _written(name: BaseName) -> tuple[tuple[str, int, int], ...]:
    """Tell the states of a folder apart by its files' names, sizes and times.

    What is of the hub or embedded does not change where it lies.
    """
    if name.path is None:
        return ()
    try:
        files = [(path.name, path.stat()) for path in sorted(name.path.iterdir())]
    except OSError:
        return ()  # loading says what is wrong with it
    return tuple((file, state.st_size, state.st_mtime_ns) for file, state in files)


@lru_cache(maxsize=2)
def _load(
    name: BaseName, dtype: str, device: str, written: tuple[tuple[str, int, int], ...]
) -> BaseModel:
    torch, transformers = _libraries()
    if dtype not in {"float32", "bfloat16", "float16"}:
        raise BadSetting(
            f"unknown dtype {dtype!r}", where="dtype", hint="Use float32, bfloat16 or float16."
        )
    place = device_here(device)
    folder = _folder(name)
    if (folder / PEFT.folder[0]).exists():
        # Beside a model too: transformers would load the adapter's own base model, from wherever
        # that lies, with the adapter in it.
        raise adapter_for_base(name.given)
    check_files(folder)
    path = str(folder)
    tokenizer = _tokenizer(folder)
    try:
        with without_bars(transformers):
            check_safetensors(folder)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                path, dtype=getattr(torch, dtype), use_safetensors=True, trust_remote_code=False
            )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise _not_loaded(folder, error) from error
    model = model.to(place or "cpu").requires_grad_(False)
    # PEFT writes this name into every adapter trained here and into its card; a cache path would
    # tell nobody, and the revision has a field of its own.
    model.name_or_path = model.config.name_or_path = name.name
    return BaseModel(name.given, path, model.eval(), tokenizer, name.revision, device)


def _tokenizer(folder: Path) -> Any:
    _, transformers = _libraries()
    try:
        with without_bars(transformers):
            return transformers.AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:  # what tokenizers cannot parse is an Exception of no kind
        raise _not_loaded(folder, error) from error


def _folder(name: BaseName) -> Path:
    try:
        return name.folder()
    except MissingBase as error:
        if name.on_hub is None:
            raise
        raise MissingBase(
            f"the base model {name.given!r} is not here: {error.problem}", hint=error.hint
        ) from error


def _libraries() -> tuple[Any, Any]:
    try:
        with warnings.catch_warnings():  # of widgets that a notebook lacks, for bars that we hide
            warnings.filterwarnings("ignore", message="IProgress not found")
            import torch
            import transformers
    except ImportError as error:
        raise missing_extra(error.name, "loading a base model") from None
    return torch, transformers


def _not_loaded(folder: Path, error: Exception) -> BadInput:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if "trust_remote_code" in str(error):
        return Refused(
            "cannot be loaded without Python code that it brings, and superpose runs none",
            where=folder,
            hint="A model that transformers itself knows has no `auto_map` in its config.json or "
            "tokenizer_config.json; `check`, `add` and `diff` need no base model.",
        )
    return BadInput(f"this is no causal language model of transformers: {reason}", where=folder)
