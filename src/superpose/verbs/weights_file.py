"""Adapters as a sum takes them: with numbers, or with what `superpose tune` found of each."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from superpose.errors import BadInput, BadSetting
from superpose.files.text import with_an_end
from superpose.verbs.adapters import (
    AdapterName,
    Weighted,
    as_number,
    given_twice,
    loaded,
    weighted,
)
from superpose.verbs.weighted import parse_weights

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.adapter.delta import FineWeight
    from superpose.compose import TunedSum

__all__ = ["Given", "TaskWeights", "WeightsFile", "given", "loaded_with_table", "read_weights_file"]

TaskWeights: TypeAlias = Sequence[float] | Mapping[str, float] | str | os.PathLike[str] | None
"""Numbers in the adapters' order, also as the text `1,0.5,-1`; a mapping from adapters' names, as
`tune` gives it; a file that `tune --json` or `predict --json` wrote; or `average`, 1/K each."""

LARGEST = 50_000_000

AVERAGE = "average"
"""The word for 1/K each."""


@dataclass(frozen=True)
class WeightsFile:
    """weights: adapter -> task weight. modules: adapter -> target module -> weight, or nothing.

    A module's weight is a number, or one for each of the delta's directions.

    path: None where it is no file. by: what has a weight of its own, where modules have.
    """

    path: Path | None
    weights: Mapping[str, float]
    modules: Mapping[str, Mapping[str, FineWeight]]
    by: str = "adapter"

    def tuned(self, adapters: Sequence[Adapter], by: str) -> TunedSum:
        """Give the method that has these weights. by: what was asked for.

        Raises BadInput as `apply`, BadSetting where the file's weights are by something else.
        """
        from superpose.compose import FineWeights, TunedSum

        if by not in (TunedSum().by, self.by):
            raise BadSetting(f"the weights are by {self.by}, not by {by}", where="by")
        names = self._names(adapters)
        each = [
            self.modules[name] if self.modules else dict.fromkeys(adapter, self.weights[name])
            for name, adapter in zip(names, adapters, strict=True)
        ]
        return TunedSum(self.by, tuple(map(FineWeights, each)))

    def apply(self, adapters: Sequence[Adapter]) -> tuple[list[Adapter], list[float]]:
        """Give the adapters, scaled by module where the file says so, and the weight of each.

        Adapters are known by their names, told apart as `check` does. Raises BadInput when the
        file's names are not theirs.
        """
        names = self._names(adapters)
        if not self.modules:
            return list(adapters), [self.weights[name] for name in names]
        scaled = [a.scaled_by_module(self.modules[n]) for n, a in zip(names, adapters, strict=True)]
        return scaled, [1.0] * len(scaled)

    def _names(self, adapters: Sequence[Adapter]) -> Sequence[str]:
        """Give what the adapters are called, told apart, where the file's names are theirs."""
        from superpose.interference import told_apart

        names = told_apart(adapters)
        if set(names) != set(self.weights):
            raise BadInput(
                f"holds weights of {', '.join(sorted(self.weights))}, and the adapters are "
                f"{', '.join(names)}",
                where=self.path or "weights",
                hint="Give the adapters that were tuned, all of them.",
            )
        return names


@dataclass(frozen=True)
class Given:
    """Adapters as they were given, and the task weight of each; `table` has the weights if any."""

    adapters: tuple[AdapterName, ...]
    weights: tuple[float, ...]
    table: WeightsFile | None = None


def given(adapters: Weighted, weights: TaskWeights = None) -> Given:
    """Give adapters and task weights as `weighted` does, or with the table that has the weights.

    Raises BadInput where weights stand with the adapters as well, and as `read_weights_file`.
    """
    if isinstance(weights, str) and weights.strip() == AVERAGE:
        names, numbers = weighted(adapters)
        if any(number != 1.0 for number in numbers):
            raise given_twice()
        return Given(tuple(names), (1.0 / max(1, len(names)),) * len(names))
    if isinstance(weights, str) and not os.path.isfile(weights):  # noqa: PTH113  never an error
        weights = parse_weights(weights)
    if weights is None or not isinstance(weights, str | os.PathLike | Mapping):
        names, numbers = weighted(adapters, weights)
        return Given(tuple(names), tuple(numbers))
    names, numbers = weighted(adapters)
    if any(number != 1.0 for number in numbers):
        raise given_twice()
    if isinstance(weights, Mapping):
        table = WeightsFile(None, {name: as_number(w) for name, w in weights.items()}, {})
    else:
        table = read_weights_file(weights)
    return Given(tuple(names), tuple(numbers), table)


def loaded_with_table(
    adapters: Weighted,
    weights: TaskWeights = None,
    *,
    base: str | None = None,
    ignore_keys: Sequence[str] = (),
) -> tuple[list[Adapter], list[float]]:
    """Load adapters, and give them as a table of weights has them scaled, and the weight of each.

    Raises as `given`, and as loading does.
    """
    found = given(adapters, weights)
    parts = loaded(found.adapters, base=base, ignore_keys=ignore_keys)
    return (parts, list(found.weights)) if found.table is None else found.table.apply(parts)


def read_weights_file(path: str | os.PathLike[str]) -> WeightsFile:
    """Read a file of task weights, as `tune --json` and `predict --json` write it.

    `{"weights": {"math": 0.8, ...}}`; where `finer` holds `{"weights": {"math": {"module": 0.9}}}`
    as well, each module's own weight counts, or in a list each direction's. Raises BadInput for
    anything else.
    """
    path = Path(path)
    try:
        if with_an_end(path).stat().st_size > LARGEST:
            raise BadInput("is far too large for a file of weights", where=path)
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
        weights = _numbers(_weights_in(content))
        finer = content.get("finer")
        given = {} if finer is None else finer["weights"]
        modules = {str(name): _fine(each) for name, each in given.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"is no file of task weights ({_said(error)})",
            where=path,
            hint='Write it with: superpose tune ... --json > FILE, or by hand: {"weights": {...}}',
        ) from None
    if modules and set(modules) != set(weights):
        raise BadInput("`finer` and `weights` are about different adapters", where=path)
    by = str(finer.get("by", "module")) if modules else "adapter"
    return WeightsFile(path, weights, modules, by)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Give an object's values; a key that stands twice would count once, the last, unseen."""
    found = dict(pairs)
    if len(found) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"`{name}` stands twice")
    return found


def _weights_in(content: Any) -> Any:
    """Give what a file holds of task weights: its own, or those that a forecast advises."""
    if "weights" in content or "advice" not in content:
        return content["weights"]
    advice = content["advice"] or {}
    if advice.get("weights") is not None:
        return advice["weights"]
    if advice.get("verdict") == "add them":
        return dict.fromkeys(content["adapters"], 1.0)
    raise ValueError(
        "what predict wrote advises no weights; with --plan forecast, or by superpose tune, they "
        "are found"
    )


def _numbers(value: Any) -> dict[str, float]:
    """Give names and finite numbers. Raises ValueError, or AttributeError for no mapping."""
    numbers = {}
    for name, weight in value.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise ValueError(f"the weight of `{name}` is no number")
        if not abs(weight) <= sys.float_info.max:
            raise ValueError(f"the weight of `{name}` is not finite")
        numbers[str(name)] = float(weight)
    if not numbers:
        raise ValueError("there are no weights")
    return numbers


def _fine(value: Any) -> dict[str, FineWeight]:
    """Give names and finite numbers, or lists of such. Raises as `_numbers`."""
    listed = {str(n): w for n, w in value.items() if isinstance(w, list)}
    single = {name: w for name, w in value.items() if name not in listed}
    found: dict[str, FineWeight] = dict(_numbers(single)) if single or not listed else {}
    for name, each in listed.items():
        found[name] = tuple(_numbers({f"{name}, {n}": w for n, w in enumerate(each)}).values())
    return found


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, AttributeError | TypeError | LookupError):
        return "weights are no mapping from adapters to numbers"
    return str(error)
