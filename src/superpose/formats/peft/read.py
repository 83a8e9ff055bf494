"""A PEFT folder to an adapter: configuration and tensors, each checked against the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, Refused, SuperposeWarning, bullets, placed
from superpose.files import TensorFile, exists
from superpose.files.header import Header
from superpose.files.tensors import INTEGERS
from superpose.formats.foreign import CONFIG, no_config_beside
from superpose.formats.peft.announced import compare_with_stored, compare_with_targets
from superpose.formats.peft.config import LoraConfig, parse_config, warn_if_ambiguous
from superpose.formats.peft.fields import is_empty
from superpose.formats.peft.keys import EMBEDDINGS, Sorted, sort_tensors
from superpose.formats.peft.made import adapter_of
from superpose.formats.peft.parts import Target, deltas_of, targets
from superpose.formats.peft.whole import (
    bias_deltas,
    check_twins,
    deltas_to_rescale,
    replacements_of,
    tied_layers,
)
from superpose.formats.recognise import ADALORA, PRODUCTS, read_config, weights_file
from superpose.formats.shards import check_not_a_part, open_weights
from superpose.names.stored import end_of

_Reader = Callable[[Mapping[str, Any], Path, str, Collection[str]], Adapter]

_DORA = (
    "it is DoRA (use_dora), which rescales the base model's own weights: its update is not B*A "
    "(superpose bake BASE ADAPTER writes the exact model; superpose add --base BASE --rank K the "
    "best approximation of rank K, and says how good it is)"
)


def read_peft(
    folder: Path,
    *,
    given: str | None = None,
    ignore_keys: Collection[str] = (),
    dora: bool = False,
    weights: Path | None = None,
) -> Adapter:
    """Read the adapter in a local PEFT folder.

    given: what the user called it, kept as the adapter's path. ignore_keys: unknown keys of the
    configuration to pass over. dora: let DoRA pass, whose weights become replacements that nobody
    can tell without the base model. weights: the folder's file that was given in place of it; by
    default the one that PEFT loads.

    Raises Refused with every reason at once when the adapter is no linear change of the base model,
    BadInput when files are missing, damaged or contradict each other.
    """
    where = given or str(folder)
    if weights is not None:
        check_not_a_part(weights)
        if not exists(folder / CONFIG, where):
            raise no_config_beside(weights)
    raw = read_config(folder, where)
    if "peft_type" not in raw:
        from superpose.formats.mlx import read_mlx

        return read_mlx(raw, folder, where)
    weights = weights or weights_file(folder, where)
    if (other := _other_layout(raw)) is not None:
        return other(raw, weights, where, ignore_keys)
    # The header alone decides what is refused: the rest may hold dtypes that nobody needs to read.
    file = open_weights(weights)
    source = _Source(where, folder / CONFIG, weights)
    return _lora(raw, file, source, ignore_keys=ignore_keys, dora=dora)


def read_loaded(
    raw: Mapping[str, Any],
    file: TensorFile,
    name: str,
    *,
    scalings: Mapping[str, float],
    dora: bool = False,
) -> Adapter:
    """Give the LoRA adapter that lies in memory: `read_peft` for a model that PEFT has loaded.

    raw: its configuration, as adapter_config.json has it. file: its tensors, by the names of a
    file. name: what it is called. scalings: of each module with factors, as the model multiplies
    with, whatever the configuration says: a scale can be set, and loading sorts patterns.

    Raises as `read_peft`, and BadInput for a module that has factors and no scaling.
    """
    source = _Source(name, f"the configuration of adapter `{name}`", f"adapter `{name}`")
    return _lora(raw, file, source, dora=dora, scalings=scalings)


class _Source(NamedTuple):
    """Where an adapter comes from, for messages: what it was called, its two files."""

    where: str
    config: object
    weights: object


def _lora(
    raw: Mapping[str, Any],
    file: TensorFile,
    source: _Source,
    *,
    ignore_keys: Collection[str] = (),
    dora: bool = False,
    scalings: Mapping[str, float] | None = None,
) -> Adapter:
    where = source.where
    config, reasons = parse_config(raw, source.config, ignore_keys)
    found, changed, integers = _sorted(file.header, source, config, reasons, dora)
    names = [target.name for target in changed.values()]
    compare_with_targets(config, list(dict.fromkeys(names)), where)
    compare_with_stored(raw, config, found, where)
    if scalings is None:
        warn_if_ambiguous(config, names, where)
    else:
        changed = _scaled(changed, scalings, where)
    file = file.read(integers=integers)
    with placed(source.weights):
        check_twins(found, file.tensors)
        deltas = _deltas(found, changed, file.tensors, config)
        rescaled = deltas_to_rescale(found, config, deltas)
        replacements = replacements_of(found, config, file.tensors, rescaled)
        tied = tied_layers(deltas, config)
    for key in (*rescaled, *tied):
        del deltas[key]
    _warn_if_nothing(deltas, replacements, where)
    return adapter_of(deltas, replacements, found, config, file, where, tied=tied)


def _scaled(
    changed: Mapping[str, Target], scalings: Mapping[str, float], where: str
) -> dict[str, Target]:
    """Give the targets with the scalings that a loaded model multiplies with."""
    missing = [module for module in changed if module not in scalings]
    if missing:
        raise BadInput(f"`{missing[0]}` has factors and no scaling in the model", where=where)
    return {m: target._replace(scaling=scalings[m]) for m, target in changed.items()}


def _other_layout(raw: Mapping[str, Any]) -> _Reader | None:
    """Give the reader of a folder whose factors are not LoRA's own; None for all others."""
    if raw["peft_type"] in PRODUCTS:
        from superpose.formats.peft.products import read_products

        return read_products
    if raw["peft_type"] == ADALORA:
        from superpose.formats.peft.adalora import read_adalora

        return read_adalora
    if not is_empty(raw.get("enable_lora")):
        from superpose.formats.peft.merged import read_merged

        return read_merged
    return None


def _sorted(
    header: Header, source: _Source, config: LoraConfig, reasons: list[str], dora: bool
) -> tuple[Sorted, dict[str, Target], bool]:
    """Say what the tensors are, and whether the only integers are what BatchNorm counts."""
    with placed(source.weights):
        found = sort_tensors(header.shapes, config.whole_modules + _tied_modules(config))
    if (found.magnitudes or config.use_dora) and not dora:
        reasons = [*reasons, _DORA]
    if reasons or found.reasons:
        raise _refused(source.where, reasons + found.reasons)
    with placed(source.weights):
        if not (found.factors or found.wholes or found.rows):
            raise BadInput("holds no LoRA factors")
        _check_ways(config, found, source.config)
        counts = {name for name, entry in header.entries.items() if entry.dtype in INTEGERS}
        integers = all(name.endswith(".num_batches_tracked") for name in counts)
        return found, targets(found, config), integers


def _tied_modules(config: LoraConfig) -> tuple[str, ...]:
    """Tied layers are saved whole together, though the configuration names one of them."""
    both = config.tying and any(end_of(f"{module}.weight") for module in config.whole_modules)
    return EMBEDDINGS if both else ()


def _check_ways(config: LoraConfig, found: Sorted, where: object) -> None:
    """Before a pattern is asked for anything: a hostile one could take for ever to answer."""
    parameters = [entry.rpartition(".")[2] for entry in config.target_parameters]
    names = [*found.factors, *(f"{m}.{p}" for m in found.factors for p in parameters)]
    for pattern in (config.rank_pattern, config.alpha_pattern):
        pattern.check_ways(names, where)


def _deltas(
    found: Sorted, changed: Mapping[str, Target], tensors: Mapping[str, Any], config: LoraConfig
) -> dict[str, Delta]:
    deltas: dict[str, Delta] = {}
    for target in changed.values():
        deltas.update(deltas_of(target, tensors, config))
    return deltas | bias_deltas(found, changed, tensors, config)


def _refused(where: object, reasons: list[str]) -> Refused:
    if len(reasons) == 1:
        return Refused(f"cannot be part of a sum: {reasons[0]}", where=where)
    said = bullets(reasons)
    return Refused(f"cannot be part of a sum, for {len(reasons)} reasons:{said}", where=where)


def _warn_if_nothing(
    deltas: Mapping[str, Delta], replacements: Mapping[str, object], where: object
) -> None:
    if replacements:
        return
    terms = [term for delta in deltas.values() for term in delta.terms]
    if not any(term.coefficient for term in terms):
        _warn(f"{where}: lora_alpha is 0, so the scaling is zero and this adapter adds nothing")
    elif not any(term.B.any() for term in terms):
        _warn(f"{where}: every lora_B is zero, so this adapter adds nothing")


def _warn(message: str) -> None:
    warnings.warn(message, SuperposeWarning, stacklevel=4)
