"""What kind of adapter a folder holds; whatever is not PEFT's is named as what it is.

The file name `adapter_config.json` proves nothing: MLX, AdapterHub and others write one too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from superpose.errors import BadInput, Refused
from superpose.files import check_characters, download_command, exists, is_here, listing
from superpose.files.header import Header
from superpose.files.tensors import LFS_START, read_header

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLE = "adapter_model.bin"

PRODUCTS = ("LOHA", "LOKR")
"""Types of PEFT's whose factors expand into LoRA's, `formats.peft.products`."""

MAX_CONFIG = 10_000_000
"""Bytes; a real adapter_config.json has a few thousand."""

_CONVERT = """superpose opens no pickle: loading one can run code. If you trust it, convert it once:
  python -c "import sys, torch, safetensors.torch as s; \
s.save_file(torch.load(sys.argv[1] + '/adapter_model.bin', map_location='cpu', \
weights_only=True), \
sys.argv[1] + '/adapter_model.safetensors', metadata={'format': 'pt'})" """

# Files by which a folder without (or with somebody else's) adapter_config.json gives itself away.
_OTHER_FILES = {
    "adapters.safetensors": "an MLX adapter",
    "adapters.npz": "an MLX adapter",
    "pytorch_lora_weights.safetensors": "a diffusers LoRA",
    "pytorch_lora_weights.bin": "a diffusers LoRA as a pickle",
    "pytorch_adapter.bin": "an AdapterHub adapter",
    "head_config.json": "an AdapterHub adapter",
}
IMAGES = ("a kohya LoRA", "a diffusers LoRA")
_FULL_MODEL = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def read_config(folder: Path, given: str) -> dict[str, Any]:
    """Read the adapter_config.json of a PEFT folder, in the order in which it stands there.

    given: what the user called the folder: its path, or a hub name.

    Raises BadInput when the folder, the file or its JSON is not there or not usable, Refused when
    it is another tool's or another of PEFT's methods.
    """
    path = folder / CONFIG
    if not exists(path, given):
        raise _not_an_adapter(folder, given)
    config = _parsed(path)
    if "peft_type" not in config:
        raise _foreign(path, given, config)
    if config["peft_type"] not in ("LORA", *PRODUCTS):
        raise Refused(
            f"is a PEFT adapter of type {config['peft_type']!r}; superpose adds LORA, LOHA and "
            "LOKR: other types have no factors whose product is added to a weight",
            where=given,
        )
    return config


def weights_file(folder: Path, given: str) -> Path:
    """Give the weights of a PEFT folder; raises BadInput when there are none that may be read.

    given: as for `read_config`.
    """
    path = folder / WEIGHTS
    if exists(path, given):
        return path
    if PICKLE in listing(given, folder):
        raise _pickle(given)
    raise BadInput(
        f"{WEIGHTS} is missing",
        where=given,
        hint="Was the download or the training cut off? The configuration alone is no adapter.",
    )


def _parsed(path: Path) -> dict[str, Any]:
    try:
        # Before opening: opening a named pipe waits for somebody to write into it.
        if not path.is_file():
            raise BadInput("is not a file", where=path)
        if path.stat().st_size > MAX_CONFIG:
            raise BadInput("is far too large for a configuration", where=path)
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror or error}", where=path) from error
    if raw.startswith(LFS_START):
        raise BadInput(
            "is a Git LFS pointer in place of the configuration",
            where=path,
            hint="Fetch it: git lfs install && git lfs pull",
        )
    try:
        config = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"is not JSON ({error})", where=path) from error
    if not isinstance(config, dict):
        raise BadInput("holds no JSON object", where=path)
    try:
        check_characters(config, raw)
    except BadInput as error:
        raise BadInput(error.problem, where=path) from None
    return config


def _pickle(given: str) -> BadInput:
    problem = f"holds its weights as a pickle ({PICKLE})"
    if is_here(given):
        return BadInput(problem, where=given, hint=f"{_CONVERT}FOLDER")
    fetch = f"Fetch it into a folder of yours: {download_command(given)}\n"
    deeper = "/".join(["FOLDER", *given.partition("@")[0].split("/")[2:]])
    return BadInput(problem, where=given, hint=f"{fetch}{_CONVERT}{deeper}")


def _foreign(path: Path, given: str, config: Mapping[str, Any]) -> BadInput:
    """Name an adapter_config.json that is not PEFT's."""
    if config.keys() & {"fine_tune_type", "lora_parameters", "lora_layers"}:
        what = "an MLX adapter"
    elif config.keys() & {"model_class", "model_type"} and "config" in config:
        what = "an AdapterHub adapter"
    elif config.keys() & {"n_obs_steps", "input_features", "output_features", "robot_type"}:
        what = "a lerobot policy's configuration"
    elif {"r", "lora_alpha"} <= config.keys():
        return BadInput(
            "has no `peft_type`, so PEFT itself does not load it",
            where=path,
            hint='If it is plain LoRA written by hand, add "peft_type": "LORA" and target_modules.',
        )
    else:
        keys = ", ".join(sorted(config)[:6]) or "none"
        return BadInput(f"is not a PEFT configuration (keys: {keys})", where=path)
    return Refused(f"is {what}, not PEFT's", where=given, hint="superpose reads PEFT folders.")


def _not_an_adapter(folder: Path, given: str) -> BadInput:
    """Say what a folder or repository without adapter_config.json is instead."""
    paths = listing(given, folder)
    names = sorted({path.partition("/")[0] for path in paths})
    for name in names:
        what = _OTHER_FILES.get(name) or _image_lora(folder / name)
        if what in IMAGES:
            hint = f"Give the file: {_below(given, name)}"
            return BadInput(f"holds {what}, which is one file", where=given, hint=hint)
        if what is not None:
            return Refused(f"is {what} (it holds {name}), not PEFT's", where=given)
    if WEIGHTS in names or PICKLE in names:
        return BadInput(
            f"{CONFIG} is missing; without it nobody knows the scaling of these weights",
            where=given,
        )
    if "config.json" in names and any(name in names for name in _FULL_MODEL):
        return BadInput("is a full model, not an adapter", where=given)
    inside = [path.removesuffix(f"/{CONFIG}") for path in paths if path.endswith(f"/{CONFIG}")]
    if inside:
        some = ", ".join(_below(given, path) for path in inside[:4])
        return BadInput("is no adapter but holds some", where=given, hint=f"Give one: {some}")
    held = ", ".join(names[:6]) or "nothing"
    return BadInput(f"is not an adapter folder: no {CONFIG} (it holds {held})", where=given)


def _below(given: str, path: str) -> str:
    """Name a folder in what was given; a hub name keeps its revision at the end."""
    name, at, revision = (given, "", "") if is_here(given) else given.partition("@")
    return f"{name.rstrip('/')}/{path}{at}{revision}"


def _image_lora(path: Path) -> str | None:
    """Name a kohya or diffusers LoRA by the spelling of its tensors; None for all else."""
    if path.suffix != ".safetensors":
        return None
    try:
        header: Header = read_header(path)
    except BadInput:
        return None  # not even safetensors, or not fetched: it does not tell what the folder is
    from superpose.formats.image.names import is_kohya, parse  # a PEFT folder needs none of it

    named = next((n for n in map(parse, header.entries) if n is not None), None)
    if named is None or named.module.startswith("base_model.model."):
        return None
    return IMAGES[0] if is_kohya(named.module) else IMAGES[1]
