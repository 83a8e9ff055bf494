"""What target_modules announces, held against the tensors, which are what counts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from superpose.errors import SuperposeWarning, listed, placed
from superpose.formats.peft.config import LoraConfig
from superpose.formats.peft.expressions import MOST_WAYS, compiled, total_ways
from superpose.formats.peft.keys import EMBEDDINGS, Sorted, owner_of
from superpose.names.stored import end_of


def compare_with_targets(config: LoraConfig, modules: list[str], where: object) -> None:
    """Say with a SuperposeWarning where target_modules and the tensors differ.

    modules: that the tensors hold factors for. Raises BadInput for a regular expression that
    Python's `re` does not take.
    """
    targets = config.target_modules
    if targets is None or targets == "all-linear" or config.target_parameters:
        return
    if isinstance(targets, str):
        missing: list[str] = []
        extra = _unmatched(targets, modules, where)
    else:
        hit = _ends(modules)
        missing = [] if config.narrowed else sorted(set(targets) - hit.keys())
        named = {module for target in targets for module in hit.get(target, ())}
        extra = [module for module in modules if module not in named]
        extra = [] if config.tying else [m for m in extra if m.rpartition(".")[0] not in named]
    if missing:
        _warn(
            f"{where}: the configuration announces {listed(missing, 3)}, but the weights hold "
            "nothing for it; it adds nothing there"
        )
    if extra:
        _warn(
            f"{where}: the weights hold {listed(extra, 3)}, which target_modules does not name; "
            "superpose counts it, PEFT leaves it out"
        )


def compare_with_stored(
    raw: Mapping[str, Any], config: LoraConfig, found: Sorted, where: object
) -> None:
    """Say with a SuperposeWarning which module was to be saved whole, or in rows, and is not there.

    raw: the configuration as it stands. What was trained is lost then, and the base model's own
    (of a head: random values) is used in its place. PEFT passes over names that the model does not
    have, such as all but one of a task's heads: where one module is there, the others may be such.
    """
    stored = [*found.wholes, *found.copies]
    stored += [f"{module}.weight" for module in (*found.factors, *found.rows)]
    there = {name for name in config.whole_modules if any(owner_of(t, (name,)) for t in stored)}
    asked = dict.fromkeys(raw.get("modules_to_save") or ())
    missing = [n for n in asked if n not in there and (not there or n in EMBEDDINGS)]
    held = {name for name in config.rows if any(m.endswith(name) for m in found.rows)}
    missing += [name for name in config.rows if name not in held | _shared(config, held)]
    if config.lora_bias and (bare := sorted(found.factors.keys() - found.biases.keys())):
        _warn(
            f"{where}: lora_bias is set, but the weights hold no bias of {listed(bare, 3)}: if one "
            "was trained it is lost, and none counts"
        )
    if missing:
        _warn(
            f"{where}: {listed(missing, 3)} was trained (modules_to_save, trainable_token_indices) "
            "but the weights do not hold it: it is lost, and the base model's own counts"
        )


def _shared(config: LoraConfig, held: set[str]) -> set[str]:
    """Give output layers whose rows are an embedding's: PEFT writes those of tied weights once."""
    rows = [config.rows[name] for name in held if end_of(f"{name}.weight") == "input"]
    return {
        n for n, own in config.rows.items() if end_of(f"{n}.weight") == "output" and own in rows
    }


def _ends(modules: list[str]) -> dict[str, list[str]]:
    """Map each way to name some modules in target_modules (the last parts of a name) to them."""
    ends: dict[str, list[str]] = {}
    for module in modules:
        parts = module.split(".")
        for start in range(len(parts)):
            ends.setdefault(".".join(parts[start:]), []).append(module)
    return ends


def _unmatched(expression: str, modules: list[str], where: object) -> list[str]:
    with placed(where):
        pattern, ways = compiled(expression, "target_modules")
    if total_ways([ways], modules) > MOST_WAYS:
        _warn(f"{where}: target_modules is not compared with the weights; it could take for ever")
        return []
    return [module for module in modules if not pattern.fullmatch(module)]


def _warn(message: str) -> None:
    warnings.warn(message, SuperposeWarning, stacklevel=4)
