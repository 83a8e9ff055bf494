"""What a folder without a PEFT adapter holds instead, and where to go from there.

The file name `adapter_config.json` proves nothing: MLX, AdapterHub and others write one too.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from superpose.errors import BadInput, Refused, listed
from superpose.files import is_here, listing
from superpose.files.file_format import DIFFUSERS, PEFT
from superpose.files.header import Header
from superpose.files.pickles import check_pointer, conversion
from superpose.files.tensors import read_header

CONFIG, WEIGHTS = PEFT.folder
PICKLE = "adapter_model.bin"

_PREFIX = "base_model.model."
"""What every tensor's name in PEFT's files begins with."""

# Files by which a folder without (or with somebody else's) adapter_config.json gives itself away.
_OTHER_FILES = {
    DIFFUSERS.folder[0]: "a diffusers LoRA",
    "pytorch_lora_weights.bin": "a diffusers LoRA as a pickle",
    "pytorch_adapter.bin": "an AdapterHub adapter",
    "head_config.json": "an AdapterHub adapter",
}
_IMAGES = ("a kohya LoRA", "a diffusers LoRA")
_FULL_MODEL = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def no_weights(folder: Path, given: str) -> BadInput:
    """Say where the weights of a PEFT folder went that has a configuration and no WEIGHTS."""
    names = listing(given, folder)
    if PICKLE in names:
        return _pickle(folder, given)
    odd = [name for name in names if _holds_factors(folder / name)] if is_here(given) else []
    odd = odd or [
        n for n in names if n.endswith(".safetensors") and "adapter" in n and "/" not in n
    ]
    if not odd:
        return BadInput(
            f"{WEIGHTS} is missing",
            where=given,
            hint="Was the download or the training cut off? The configuration alone is no adapter.",
        )
    which = "it is" if len(odd) == 1 else "one of them is (the configuration belongs to one run)"
    return BadInput(
        f"holds its weights under another name than {WEIGHTS}: {listed(odd, 4)}",
        where=given,
        hint=f"If {which} this adapter's, rename it: {_rename(folder, given, odd[0], WEIGHTS)}",
    )


def no_config(folder: Path, given: str) -> BadInput:
    """Say what a folder or repository without adapter_config.json is instead."""
    paths = listing(given, folder)
    names = sorted({path.partition("/")[0] for path in paths})
    if "adapters.npz" in names and is_here(given):
        from superpose.formats.mlx import npz_refused

        return npz_refused(folder, given)
    if "adapters.safetensors" in names:
        return BadInput(
            f"is an MLX adapter (it holds adapters.safetensors) without {CONFIG}, which tells its "
            "scale",
            where=given,
            hint='Write one beside it: {"fine_tune_type": "lora", "lora_parameters": {"scale": '
            "SCALE}}, with the scale that it was trained with (20.0 where nobody chose one).",
        )
    for name in names:
        what = _OTHER_FILES.get(name) or _image_lora(folder / name)
        if what in _IMAGES:
            hint = f"Give the file: {_below(given, name)}"
            return BadInput(f"holds {what}, which is one file", where=given, hint=hint)
        if what is not None:
            return Refused(f"is {what} (it holds {name}), not PEFT's", where=given)
    if WEIGHTS in names or PICKLE in names:
        return _no_config(folder, given, names)
    if "config.json" in names and any(name in names for name in _FULL_MODEL):
        return BadInput("is a full model, not an adapter", where=given)
    inside = [path.removesuffix(f"/{CONFIG}") for path in paths if path.endswith(f"/{CONFIG}")]
    if inside:
        some = ", ".join(_below(given, path) for path in inside[:4])
        return BadInput("is no adapter but holds some", where=given, hint=f"Give one: {some}")
    held = ", ".join(names[:6]) or "nothing"
    return BadInput(f"is not an adapter folder: no {CONFIG} (it holds {held})", where=given)


def foreign_config(path: Path, given: str, config: Mapping[str, Any]) -> BadInput:
    """Name an adapter_config.json that is not PEFT's."""
    if config.keys() & {"model_class", "model_type"} and "config" in config:
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


def _no_config(folder: Path, given: str, names: Sequence[str]) -> BadInput:
    """Say where the configuration may be of a folder that holds a PEFT adapter's weights."""
    problem = f"{CONFIG} is missing; without it nobody knows the scaling of these weights"
    odd = [n for n in names if n.endswith(".json") and "adapter_config" in n]
    if odd:
        hint = f"Is `{odd[0]}` it? Then rename it: {_rename(folder, given, odd[0], CONFIG)}"
        return BadInput(problem, where=given, hint=hint)
    hint = f"Fetch {CONFIG} from where the weights came from."
    if holds_peft(header_of(folder / WEIGHTS)):
        hint = _config_to_write(folder / WEIGHTS)
    return BadInput(problem, where=given, hint=hint)


def holds_peft(header: Header | None) -> bool:
    """Say whether a file holds the weights of a PEFT folder, whatever it is called."""
    return header is not None and any(name.startswith(_PREFIX) for name in header.entries)


def no_config_beside(weights: Path) -> BadInput:
    """Say what a file of a PEFT folder's weights lacks that was given by itself."""
    return BadInput(
        f"holds the weights of a PEFT folder, and no {CONFIG} lies beside it: without it nobody "
        "knows their scaling",
        where=weights,
        hint=_config_to_write(weights),
    )


def _config_to_write(weights: Path) -> str:
    """Say where a missing configuration goes, and what stands in it at least."""
    header = header_of(weights)
    entries = {} if header is None else header.entries
    ends = (".lora_A.weight", ".lora_A")
    ranks = {e.shape[0] for n, e in entries.items() if n.endswith(ends) and e.shape}
    plain = json.dumps({"peft_type": "LORA", "r": max(ranks, default=8)})[:-1]
    folder = shlex.quote(str(weights.absolute().parent))
    return (
        f"Fetch it from where the weights came from, into {folder}. Where there is none, write one "
        f'there: {plain}, "lora_alpha": ALPHA}}, with the alpha that it was trained with.'
    )


def _pickle(folder: Path, given: str) -> BadInput:
    problem = f"holds its weights as a pickle ({PICKLE})"
    if is_here(given):
        check_pointer(folder / PICKLE)
        return BadInput(problem, where=given, hint=conversion(PICKLE, WEIGHTS))
    fetch = f"Fetch it into a folder of yours: {_download(given)}\n"
    return BadInput(problem, where=given, hint=fetch + conversion(PICKLE, WEIGHTS, _fetched(given)))


def _rename(folder: Path, given: str, name: str, to: str) -> str:
    """Give the command that gives a file the name that PEFT asks for."""
    if is_here(given):
        old, new = (shlex.quote(str(folder.absolute() / n)) for n in (name, to))
        return f"mv {old} {new}"
    inside = _fetched(given)
    old, new = (shlex.quote(f"{inside}/{n}") for n in (name, to))
    return f"{_download(given)} && mv {old} {new}"


def _download(given: str) -> str:
    from superpose.files.hub import download_command  # of what is refused alone

    return download_command(given)


def _fetched(given: str) -> str:
    """Give where `download_command` puts what was given."""
    return "/".join(["FOLDER", *given.partition("@")[0].split("/")[2:]])


def _below(given: str, path: str) -> str:
    """Name a folder in what was given; a hub name keeps its revision at the end."""
    name, at, revision = (given, "", "") if is_here(given) else given.partition("@")
    return f"{name.rstrip('/')}/{path}{at}{revision}"


def header_of(path: Path) -> Header | None:
    """Give what a safetensors file announces; None where it is none, or not fetched."""
    if path.suffix != ".safetensors":
        return None
    try:
        return read_header(path)
    except BadInput:
        return None


def _holds_factors(path: Path) -> bool:
    header = header_of(path)
    return header is not None and any(".lora_" in name for name in header.entries)


def _image_lora(path: Path) -> str | None:
    """Name a kohya or diffusers LoRA by the spelling of its tensors; None for all else."""
    header = header_of(path)
    if header is None:
        return None
    from superpose.formats.image.names import parse_image_tensor  # a PEFT folder needs none of it
    from superpose.names.image import is_kohya

    named = next((n for n in map(parse_image_tensor, header.entries) if n is not None), None)
    if named is None or named.module.startswith(_PREFIX):
        return None
    return _IMAGES[0] if is_kohya(named.module) else _IMAGES[1]


__all__: Sequence[str] = [
    "CONFIG",
    "PICKLE",
    "WEIGHTS",
    "foreign_config",
    "no_config",
    "no_weights",
]
