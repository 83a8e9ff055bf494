"""A PEFT folder of type ADALORA to an adapter: B diag(E) A is a product of two factors.

The update is B @ (A * E) * alpha / (init_r + 1e-5), where A is (rank, in_features), E (rank, 1) and
B (out_features, rank). A module keeps the scaling of `init_r` whatever rank the allocator left it
(`rank_pattern`, a list of kept directions a module), and one that was left none changes nothing.
`r`, `alpha_pattern` and `use_rslora` are not looked at. Source: peft 0.21.2,
`tuners/adalora/layer.py` (`AdaLoraLayer.update_layer`, `SVDLinear.get_delta_weight`) and
`tuners/adalora/model.py` (`resize_modules_by_rank_pattern`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, Refused, SuperposeWarning
from superpose.formats.foreign import CONFIG
from superpose.formats.peft.announced import compare_with_targets
from superpose.formats.peft.config import LoraConfig, parse_config
from superpose.formats.peft.keys import PREFIX, Shape, Sorted, sort_tensors
from superpose.formats.peft.made import plain_adapter
from superpose.formats.shards import open_weights
from superpose.formats.stubs import check_stubs

_OWN = frozenset(
    "target_r init_r tinit tfinal deltaT beta1 beta2 orth_reg_weight total_step".split()
)
"""Fields that LoRA's configuration does not have: `init_r` is read, the others steer training."""

_PASSED_OVER = frozenset({"r", "rank_pattern", "alpha_pattern", "use_rslora"})
_INIT = 12
"""Default of init_r (peft 0.21.2)."""

_FACTOR = re.compile(re.escape(PREFIX) + r"(?P<module>.+)\.lora_(?P<side>[ABE])(\.weight)?")
_KEPT = re.compile(r"(?P<module>.+)\.lora_E(\.[^.]+)?")


def read_adalora(
    raw: Mapping[str, Any], weights: Path, where: str, ignore_keys: Collection[str] = ()
) -> Adapter:
    """Read the adapter whose configuration is `raw`, of type ADALORA.

    Raises as `read_peft` does.
    """
    shared = {k: v for k, v in raw.items() if k not in _OWN | _PASSED_OVER}
    config, reasons = parse_config(shared, weights.with_name(CONFIG), ignore_keys)
    ranks = _ranks(raw, weights.with_name(CONFIG))
    file = open_weights(weights)
    shapes = file.header.shapes
    modules, others = _by_module(shapes)
    initial = _initial(
        raw,
        weights.with_name(CONFIG),
        ranks,
        {shapes[own["A"]][0] for own in modules.values() if "A" in own},
    )
    left_out = {n for m, own in modules.items() if ranks.get(m) == 0 for n in own.values()}
    check_stubs({n: s for n, s in shapes.items() if n not in left_out}, weights)
    found = sort_tensors(others, config.whole_modules)
    reasons += found.reasons + _foreign(found)
    if reasons:
        raise Refused(f"cannot be part of a sum: {'; '.join(reasons)}", where=where)
    used = {m: own for m, own in modules.items() if ranks.get(m) != 0}
    for module, own in used.items():
        _check(module, {side: shapes[name] for side, name in own.items()}, ranks, initial, weights)
    if not used:
        raise BadInput("holds no factors of type ADALORA", where=weights)
    compare_with_targets(config, list(modules), where)
    file = file.read()
    deltas = {
        module: _delta(own, file.tensors, _scaling(config, ranks.get(module), initial))
        for module, own in used.items()
    }
    return plain_adapter(deltas, found, config, file, where)


def _by_module(
    shapes: Mapping[str, Shape],
) -> tuple[dict[str, dict[str, str]], dict[str, Shape]]:
    """Give the names of each module's factors, by side, and the shapes of all other tensors."""
    modules: dict[str, dict[str, str]] = {}
    others: dict[str, Shape] = {}
    for name, shape in shapes.items():
        match = _FACTOR.fullmatch(name)
        if match is None:
            others[name] = shape
        else:
            modules.setdefault(match["module"], {})[match["side"]] = name
    return modules, others


def _foreign(found: Sorted) -> list[str]:
    names = [*(p.A for p in found.factors.values()), *found.biases.values()]
    return [f"`{name}`: not one of AdaLoRA's" for name in [*names, *found.magnitudes.values()]]


def _ranks(raw: Mapping[str, Any], path: Path) -> dict[str, int]:
    """Give the rank that the allocator left each module that it looked at."""
    pattern = raw.get("rank_pattern") or {}
    good = isinstance(pattern, dict) and all(
        isinstance(kept, list) and all(isinstance(x, bool) for x in kept)
        for kept in pattern.values()
    )
    if not good:
        raise BadInput("rank_pattern holds something else than lists of true and false", where=path)
    found = {}
    for name, kept in pattern.items():
        match = _KEPT.fullmatch(name.removeprefix(PREFIX))
        if match is not None:
            found[match["module"]] = sum(kept)
    return found


def _initial(
    raw: Mapping[str, Any], path: Path, ranks: Mapping[str, int], stored: Collection[int]
) -> int:
    """Give init_r; where neither it nor a pattern stands there, the factors' own rank is it."""
    value = raw.get("init_r")
    if value is None and not ranks and len(stored) == 1:
        (value,) = stored
        warnings.warn(
            f"{path}: init_r is not there; all factors have rank {value}, so that it was {value}",
            SuperposeWarning,
            stacklevel=4,
        )
    elif value is None:
        value = _INIT
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadInput(f"init_r is {value!r}; a rank is a whole number of at least 1", where=path)
    return value


def _check(
    module: str, own: Mapping[str, Shape], ranks: Mapping[str, int], initial: int, weights: Path
) -> None:
    missing = [side for side in "ABE" if side not in own]
    if missing:
        raise BadInput(f"`{module}` has no lora_{missing[0]}", where=weights)
    rank = ranks.get(module, initial)
    fits = len(own["A"]) == len(own["B"]) == 2 and own["E"] == (own["A"][0], 1)
    if not fits or own["B"][1] != own["A"][0]:
        shapes = ", ".join(f"lora_{side} {shape}" for side, shape in sorted(own.items()))
        raise BadInput(f"`{module}`: {shapes} are not the factors of B diag(E) A", where=weights)
    if own["A"][0] != rank:
        said = "rank_pattern leaves it" if module in ranks else "init_r is"
        raise BadInput(
            f"`{module}` has rank {own['A'][0]}, but by {CONFIG} {said} {rank}",
            where=weights,
            hint="AdaLoRA's scaling is alpha / init_r. Are both files of one training run? If "
            f'init_r was left out of the configuration, write it there: "init_r": {own["A"][0]}.',
        )


def _scaling(config: LoraConfig, rank: int | None, initial: int) -> float:
    own = initial if rank is None else rank
    return (config.lora_alpha if config.lora_alpha > 0 else float(own)) / (initial + 1e-5)


def _delta(own: Mapping[str, str], tensors: Mapping[str, Any], scaling: float) -> Delta:
    A, B, E = (tensors[own[side]] for side in "ABE")
    wide = np.result_type(A.dtype, np.float32) if A.dtype.kind == "f" else np.float32
    return Delta.of(B, A.astype(wide) * E.astype(wide), scaling)
