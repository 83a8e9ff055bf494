"""The index of sharded weights: which file holds which tensor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from superpose.errors import BadInput


def weight_map(index: Mapping[str, Any], where: object) -> dict[str, str]:
    """Give the file of each tensor by an index, parsed JSON: names of files beside it.

    Raises BadInput where it is none, or names what is no safetensors file's name.
    """
    weights = index.get("weight_map")
    if not isinstance(weights, dict) or not weights:
        raise BadInput("has no `weight_map`", where=where)
    for name, file in weights.items():
        if not isinstance(file, str) or Path(file).name != file or not file.endswith("tensors"):
            raise BadInput(f"puts `{name}` into {file!r}, no file's name", where=where)
    return weights
