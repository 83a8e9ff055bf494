"""What kind of adapter a folder holds, by its configuration, and which files its weights are.

Whatever is not PEFT's is named as what it is, in `foreign`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from superpose.errors import BadInput, Refused
from superpose.files import check_characters, exists, listing
from superpose.files.tensors import LFS_START
from superpose.formats.foreign import CONFIG, WEIGHTS, foreign_config, no_config, no_weights
from superpose.formats.shards import INDEX, numbered

PRODUCTS = ("LOHA", "LOKR")
"""Types of PEFT's whose factors expand into LoRA's, `formats.peft.products`."""

ADALORA = "ADALORA"
"""The type whose factors have a diagonal between them, `formats.peft.adalora`."""

MLX_KEYS = frozenset({"fine_tune_type", "lora_parameters", "lora_layers"})
"""Any of these in a configuration without `peft_type` is MLX's, `formats.mlx`."""

MAX_CONFIG = 10_000_000
"""Bytes; a real adapter_config.json has a few thousand."""


def read_config(folder: Path, given: str) -> dict[str, Any]:
    """Read the adapter_config.json of a PEFT or MLX folder, in the order in which it stands there.

    given: what the user called the folder: its path, or a hub name.

    Raises BadInput when the folder, the file or its JSON is not there or not usable, Refused when
    it is another tool's or another of PEFT's methods.
    """
    path = folder / CONFIG
    if not exists(path, given):
        raise no_config(folder, given)
    config = parsed_config(path)
    if "peft_type" not in config:
        if config.keys() & MLX_KEYS:
            return config
        raise foreign_config(path, given, config)
    if config["peft_type"] not in ("LORA", ADALORA, *PRODUCTS):
        raise Refused(
            f"is a PEFT adapter of type {config['peft_type']!r}; superpose adds LORA, ADALORA, "
            "LOHA and LOKR: other types have no factors whose product is added to a weight",
            where=given,
            hint="superpose extract takes the change from a model that PEFT merged it into, where "
            "PEFT merges this type.",
        )
    return config


def weights_file(folder: Path, given: str) -> Path:
    """Give the weights of a PEFT folder: one file, or the index that stands for all shards.

    given: as for `read_config`.

    Raises BadInput when there are none that may be read, or a shard is missing.
    """
    path = folder / WEIGHTS
    if exists(path, given):
        return path
    if exists(folder / INDEX, given):
        return folder / INDEX
    shards = numbered(listing(given, folder), given)
    if shards and all((folder / name).is_file() for name in shards):
        return folder / INDEX
    raise no_weights(folder, given)


def parsed_config(path: Path) -> dict[str, Any]:
    """Give the JSON object in a configuration file; raises BadInput where it is none."""
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
