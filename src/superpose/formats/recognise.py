"""What kind of adapter a folder holds, by its configuration, and which files its weights are.

Whatever is not PEFT's is named as what it is, in `foreign`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from superpose.errors import Refused
from superpose.files import exists, listing
from superpose.files.json_values import read_json
from superpose.formats.foreign import CONFIG, WEIGHTS, foreign_config, no_config, no_weights
from superpose.formats.shards import INDEX, numbered

PRODUCTS = ("LOHA", "LOKR")
"""Types of PEFT's whose factors expand into LoRA's, `formats.peft.products`."""

ADALORA = "ADALORA"
"""The type whose factors have a diagonal between them, `formats.peft.adalora`."""

MLX_KEYS = frozenset({"fine_tune_type", "lora_parameters", "lora_layers"})
"""Any of these in a configuration without `peft_type` is MLX's, `formats.mlx`."""


def read_config(folder: Path, given: str) -> dict[str, Any]:
    """Read the adapter_config.json of a PEFT or MLX folder, in the order in which it stands there.

    given: what the user called the folder: its path, or a hub name.

    Raises BadInput when the folder, the file or its JSON is not there or not usable, Refused when
    it is another tool's or another of PEFT's methods.
    """
    path = folder / CONFIG
    if not exists(path, given):
        raise no_config(folder, given)
    config = read_json(path)
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
