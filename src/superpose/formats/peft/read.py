"""A PEFT folder to an adapter: configuration and tensors, each checked against the other."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path

from superpose.adapter import Adapter, Delta, Parent
from superpose.errors import BadInput, Refused, SuperposeWarning
from superpose.files import read_header, read_tensors, short_name
from superpose.formats.peft.config import LoraConfig, parse_config, warn_if_ambiguous
from superpose.formats.peft.expressions import MOST_WAYS, compiled, total_ways
from superpose.formats.peft.keys import Pair, sort_tensors
from superpose.formats.recognise import CONFIG, read_config, weights_file

HEADER_KEY = "superpose"
"""Where in a safetensors header superpose notes what the file was made from."""


def read_peft(
    folder: Path, *, given: str | None = None, ignore_keys: Collection[str] = ()
) -> Adapter:
    """Read the adapter in a local PEFT folder.

    given: what the user called it, kept as the adapter's path. ignore_keys: unknown keys of the
    configuration to pass over.

    Raises Refused with every reason at once when the adapter is more than deltas s*B*A of linear
    layers, BadInput when files are missing, damaged or contradict each other.
    """
    where = given or str(folder)
    raw = read_config(folder, where)
    weights = weights_file(folder, where)
    config, reasons = parse_config(raw, folder / CONFIG, ignore_keys)
    # The header alone decides what is refused: the rest may hold dtypes that nobody needs to read.
    pairs, more = _sorted_tensors(weights)
    if reasons or more:
        raise _refused(where, reasons + more)
    if not pairs:
        raise BadInput("holds no LoRA factors", where=weights)
    for pattern in (config.rank_pattern, config.alpha_pattern):
        pattern.check_ways(pairs, folder / CONFIG)
    _check_ranks(config, pairs, weights)
    _compare_with_targets(config, list(pairs), where)
    warn_if_ambiguous(config, list(pairs), where)
    file = read_tensors(weights)
    deltas = {
        module: Delta.of(file.tensors[pair.B], file.tensors[pair.A], config.scaling_of(module))
        for module, pair in pairs.items()
    }
    if not any(t.coefficient for d in deltas.values() for t in d.terms):
        _warn(f"{where}: lora_alpha is 0, so the scaling is zero and this adapter adds nothing")
    elif not any(x.any() for d in deltas.values() for t in d.terms for x in (t.B,)):
        _warn(f"{where}: every lora_B is zero, so this adapter adds nothing")
    return Adapter(
        deltas,
        name=short_name(where),
        base_model=config.base_model,
        path=where,
        parents=_parents(file.metadata),
        settings=dict(config.carried),
    )


def _sorted_tensors(weights: Path) -> tuple[dict[str, Pair], list[str]]:
    header = read_header(weights)
    try:
        return sort_tensors({name: entry.shape for name, entry in header.entries.items()})
    except BadInput as error:
        raise BadInput(error.problem, where=weights, hint=error.hint) from None


def _refused(where: object, reasons: list[str]) -> Refused:
    if len(reasons) == 1:
        return Refused(f"cannot be part of a sum: {reasons[0]}", where=where)
    listed = "".join(f"\n  - {reason}" for reason in reasons)
    return Refused(f"cannot be part of a sum, for {len(reasons)} reasons:{listed}", where=where)


def _check_ranks(config: LoraConfig, pairs: Mapping[str, Pair], weights: Path) -> None:
    for module, pair in pairs.items():
        announced = config.rank_of(module)
        if pair.rank != announced:
            raise BadInput(
                f"tensor `{pair.A}` has rank {pair.rank}, but {CONFIG} says {announced}",
                where=weights,
                hint="The scaling depends on the rank, so nobody can tell what this adapter does. "
                "Are both files of one training run?",
            )


def _compare_with_targets(config: LoraConfig, modules: list[str], where: object) -> None:
    """Say where target_modules and the tensors differ; the tensors are what counts."""
    targets = config.target_modules
    if targets is None or targets == "all-linear":
        return
    if isinstance(targets, str):
        missing: list[str] = []
        extra = _unmatched(targets, modules, where)
    else:
        hit = _ends(modules)
        missing = [] if config.narrowed else sorted(set(targets) - hit.keys())
        named = {module for target in targets for module in hit.get(target, ())}
        extra = [module for module in modules if module not in named]
    if missing:
        _warn(
            f"{where}: the configuration announces {_listed(missing)}, but the weights hold "
            "nothing for it; it adds nothing there"
        )
    if extra:
        _warn(
            f"{where}: the weights hold {_listed(extra)}, which target_modules does not name; "
            "superpose counts it, PEFT leaves it out"
        )


def _ends(modules: list[str]) -> dict[str, list[str]]:
    """Map each way to name some modules in target_modules (the last parts of a name) to them."""
    ends: dict[str, list[str]] = {}
    for module in modules:
        parts = module.split(".")
        for start in range(len(parts)):
            ends.setdefault(".".join(parts[start:]), []).append(module)
    return ends


def _unmatched(expression: str, modules: list[str], where: object) -> list[str]:
    try:
        pattern, ways = compiled(expression, "target_modules")
    except BadInput as error:
        raise BadInput(error.problem, where=where, hint=error.hint) from error.__cause__
    if total_ways([ways], modules) > MOST_WAYS:
        _warn(f"{where}: target_modules is not compared with the weights; it could take for ever")
        return []
    return [module for module in modules if not pattern.fullmatch(module)]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"`{name}`" for name in names[:3]) + more


def _warn(message: str) -> None:
    warnings.warn(message, SuperposeWarning, stacklevel=4)


def _parents(metadata: Mapping[str, str]) -> tuple[Parent, ...]:
    """Give the parents noted in a file's header; a note that is not ours tells nothing."""
    try:
        noted = json.loads(metadata.get(HEADER_KEY, "{}"))
        parents = [Parent(p["name"], p["path"], float(p["weight"])) for p in noted["parents"]]
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return ()
    good = all(
        isinstance(p.name, str) and isinstance(p.path, str | None) and math.isfinite(p.weight)
        for p in parents
    )
    return tuple(parents) if good else ()
