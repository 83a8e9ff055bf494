"""Input statistics that lie beside an adapter: how much room they take, and whose they are."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from superpose.errors import BadInput, BadSetting, DifferentBase
from superpose.files.file_format import INPUT_STATISTICS, PEFT
from superpose.verbs.progress import Progress, advancing

if TYPE_CHECKING:
    from superpose.adapter import Adapter, Delta
    from superpose.data.input_statistics import InputStatistics
    from superpose.data.prompt import Example
    from superpose.model import BaseModel

DIRECTIONS = 48
"""Kept of each input at most: of all linear layers they take as much as an adapter of rank 16."""

MOST_ROWS = 256
"""Rows that statistics are made from when training: more of one domain change nothing."""

_RANK = 16
"""Of the adapter whose room they may take."""

__all__ = [
    "DIRECTIONS",
    "adapter_in",
    "check_statistics",
    "fitting",
    "keep_statistics",
    "modules_in",
    "statistics_beside",
]


def adapter_in(folder: Path) -> Adapter | None:
    """Read the adapter of a folder; None where there is none. Raises as `load` does."""
    if not (folder / PEFT.folder[0]).is_file():
        return None
    from superpose.formats import load

    return load(folder, beside=False)


def modules_in(base: BaseModel, adapter: Adapter) -> tuple[str, ...]:
    """Give an adapter's linear layers by the names that a base model has for them.

    Raises DifferentBase for one that it does not have, BadInput where there is none.
    """
    from superpose.adapter import met
    from superpose.model.superposed import tree_of_loaded

    (known,) = met([adapter], tree_of_loaded(base.model))
    own, layers = _linear(known), dict(base.model.named_modules())
    if not own:
        raise BadInput(
            "has no delta of a linear layer, whose inputs could be told", where=adapter.label
        )
    for name, delta in own.items():
        layer = layers.get(name)
        # Layers of quantised weights have no other sign of their width.
        wide = getattr(layer, "in_features", None) or getattr(layer, "nx", None)
        if layer is None or wide not in (None, delta.shape[1]):
            has = "no such module" if layer is None else f"{wide} inputs there"
            raise DifferentBase(
                f"{adapter.label} has {delta.shape[1]} inputs, and the base model {has}",
                where=name,
                hint="Was it trained on another base model?",
            )
    return tuple(own)


def _linear(adapter: Adapter) -> dict[str, Delta]:
    return {key: delta for key, delta in adapter.items() if delta.place is None}


def fitting(adapter: Adapter, found: InputStatistics) -> int:
    """Give how many directions take no more room than an adapter of rank 16, at most DIRECTIONS.

    adapter: whose modules, and whose precision, that one has. found: of these modules.
    """
    own = _linear(adapter).values()
    narrow = ("float32", "float64")
    wide = 4 if any(name in delta.stored for delta in own for name in narrow) else 2
    room = wide * _RANK * sum(sum(delta.shape) for delta in own)
    distinct = {id(moment): moment for moment in found.values()}.values()
    # Of each direction an input's numbers take two bytes, and its moment four.
    return max(1, min(DIRECTIONS, room // sum(2 * moment.size + 4 for moment in distinct)))


def keep_statistics(
    base: BaseModel,
    examples: Sequence[Example],
    folder: Path,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write beside an adapter what rows send into its modules in the bare base; give the file.

    As many directions as `fitting` says. seed: draws MOST_ROWS of more rows.
    """
    from superpose.files import new_file
    from superpose.formats import load
    from superpose.measure.inputs import measure_inputs

    adapter = load(folder)
    rows = random.Random(seed).sample(list(examples), min(MOST_ROWS, len(examples)))
    advance = advancing(progress, "statistics", len(rows))
    modules = modules_in(base, adapter)
    found = measure_inputs(base.model, modules, rows, base_model=base.name, progress=advance)
    with new_file(folder / INPUT_STATISTICS) as part:
        found.sketched(fitting(adapter, found)).save(part)
    return folder / INPUT_STATISTICS


def statistics_beside(adapter: Adapter, method: str) -> InputStatistics:
    """Read what lies beside an adapter that was loaded from a folder here. method: that needs it.

    Raises BadSetting where there is none, BadInput for a damaged file.
    """
    from superpose.data.input_statistics import InputStatistics

    folder = None if adapter.path is None else Path(adapter.path)
    folder = folder.parent if folder is not None and folder.is_file() else folder
    if folder is None or not (folder / INPUT_STATISTICS).is_file():
        raise BadSetting(
            f"`{method}` needs statistics of each adapter's domain, and beside {adapter.label} "
            f"lies no {INPUT_STATISTICS}",
            where="data",
            hint="Give rows of each adapter's domain, in the adapters' order: --data ROWS.jsonl, "
            "and --base BASE where the adapters name none. Or make the statistics once, which "
            "needs no base model afterwards: superpose statistics BASE ROWS.jsonl -o ADAPTER.",
        )
    return InputStatistics.load(folder)


def check_statistics(
    parts: Sequence[Adapter], known: Sequence[InputStatistics], same_base: bool
) -> None:
    """Raise DifferentBase for statistics of another base model than their adapter's.

    Names are compared as those of adapters are. same_base: they are known to mean one model.
    """
    from superpose.adapter.same_base import is_unnamed, plain_name

    for part, found in () if same_base else zip(parts, known, strict=False):
        names = (part.base_model, found.base_model)
        if any(name is None or is_unnamed(name) for name in names):
            continue
        if plain_name(part.base_model) != plain_name(found.base_model):
            raise DifferentBase(
                f"the input statistics of {part.label}'s domain are of `{found.base_model}`, and "
                f"the adapter is of `{part.base_model}`",
                hint="If both names mean one model, say so with --same-base (in Python: "
                "same_base=True). Else make them anew: superpose statistics BASE ROWS.jsonl "
                "-o ADAPTER --force.",
            )
