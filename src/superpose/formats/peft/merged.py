"""A PEFT folder with `enable_lora`: LoRA on some of the layers that lie in one, such as q and v.

A stack of equal layers in one weight (GPT-2's `c_attn`) is cut into as many parts as `enable_lora`
has entries; those that it enables get factors. A is (r * enabled, in_features), B the weight of a
convolution of width 1 in groups, (out_features of the enabled, columns, 1): a group of B's rows
meets its own group of A's rows, and the result goes to the enabled parts in order. Source: peft
0.2.0, `tuners/lora.py`, `MergedLinear.forward` and `zero_pad`; scaling is lora_alpha / r.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, Refused
from superpose.formats.foreign import CONFIG
from superpose.formats.peft.announced import compare_with_targets
from superpose.formats.peft.config import LoraConfig, parse_config
from superpose.formats.peft.keys import FactorPair, sort_tensors
from superpose.formats.peft.made import plain_adapter
from superpose.formats.shards import open_weights

ENABLED = "enable_lora"
"""The field that tells such a folder, of peft before 0.3."""

_OLD = frozenset({ENABLED, "merge_weights"})

Array = NDArray[Any]


def read_merged(
    raw: Mapping[str, Any], weights: Path, where: str, ignore_keys: Collection[str] = ()
) -> Adapter:
    """Read the adapter whose configuration is `raw`, with `enable_lora` in it.

    Raises as `read_peft` does.
    """
    enabled = _enabled(raw[ENABLED], weights.with_name(CONFIG))
    plain = {key: value for key, value in raw.items() if key not in _OLD}
    config, reasons = parse_config(plain, weights.with_name(CONFIG), ignore_keys)
    file = open_weights(weights)
    shapes = {
        name: shape + (1,) * (_is_a(name) and len(shape) == 2)
        for name, shape in file.header.shapes.items()
    }
    found = sort_tensors(shapes, config.whole_modules)
    reasons += found.reasons
    reasons += [f"`{name}`: peft of that time had none" for name in found.magnitudes.values()]
    if reasons:
        raise Refused(f"cannot be part of a sum: {'; '.join(reasons)}", where=where)
    if not found.factors:
        raise BadInput("holds no LoRA factors", where=weights)
    for pair in found.factors.values():
        _check(pair, enabled, config.r, weights)
    compare_with_targets(config, list(found.factors), where)
    file = file.read()
    deltas = {
        module: _delta(file.tensors[pair.A], file.tensors[pair.B], enabled, config)
        for module, pair in found.factors.items()
    }
    return plain_adapter(deltas, found, config, file, where)


def _is_a(name: str) -> bool:
    return name.endswith(".lora_A.weight")


def _enabled(value: object, path: Path) -> tuple[bool, ...]:
    good = isinstance(value, list) and all(isinstance(entry, bool) for entry in value)
    if not good or not isinstance(value, list) or not any(value):
        raise BadInput(
            f"{ENABLED} is {str(value)[:40]!r}, not a list of true and false", where=path
        )
    return tuple(value)


def _check(pair: FactorPair, enabled: Sequence[bool], rank: int, weights: Path) -> None:
    """Raise BadInput where two shapes are not those of factors for the enabled parts."""
    rows, columns = pair.A_shape[0], pair.B_shape[1]
    fits = len(pair.B_shape) == 3 and pair.B_shape[2] == 1 and rows == rank * sum(enabled)
    if not fits or rows % columns:
        raise BadInput(
            f"tensors `{pair.A}` {pair.A_shape[:2]} and `{pair.B}` {pair.B_shape} are not the "
            f"factors of rank {rank} for {sum(enabled)} of {len(enabled)} parts (enable_lora)",
            where=weights,
        )
    if pair.B_shape[0] % (rows // columns) or pair.B_shape[0] % sum(enabled):
        raise BadInput(
            f"tensor `{pair.B}` {pair.B_shape} does not divide into its groups", where=weights
        )


def _delta(A: Array, B: Array, enabled: Sequence[bool], config: LoraConfig) -> Delta:
    rows, columns = A.shape[0], B.shape[1]
    groups, high = rows // columns, B.shape[0] * columns // rows
    wide = np.zeros((B.shape[0], rows), B.dtype)
    for group in range(groups):
        own = slice(group * high, (group + 1) * high)
        wide[own, group * columns : (group + 1) * columns] = B[own, :, 0]
    parts = iter(np.split(wide, sum(enabled)))
    nothing = np.zeros((B.shape[0] // sum(enabled), rows), B.dtype)
    whole = np.concatenate([next(parts) if on else nothing for on in enabled])
    return Delta.of(whole, A, config.lora_alpha / config.r)
