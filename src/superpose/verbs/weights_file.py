"""Adapters as a sum takes them: with numbers, or with what `superpose tune` found of each."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from superpose.errors import BadInput
from superpose.verbs.adapters import AdapterName, Weighted, as_number, given_twice, weighted
from superpose.verbs.weighted import parse_weights

if TYPE_CHECKING:
    from superpose.adapter import Adapter

__all__ = ["Given", "TaskWeights", "WeightsFile", "given", "read_weights_file"]

TaskWeights: TypeAlias = Sequence[float] | Mapping[str, float] | str | os.PathLike[str] | None
"""Numbers in the adapters' order, also as the text `1,0.5,-1`; a mapping from adapters' names, as
`tune` gives it; or a file that `superpose tune --json` wrote."""

LARGEST = 50_000_000


@dataclass(frozen=True)
class WeightsFile:
    """weights: adapter -> task weight. modules: adapter -> target module -> weight, or nothing.

    path: None where it is no file.
    """

    path: Path | None
    weights: Mapping[str, float]
    modules: Mapping[str, Mapping[str, float]]

    def apply(self, adapters: Sequence[Adapter]) -> tuple[list[Adapter], list[float]]:
        """Give the adapters, scaled by module where the file says so, and the weight of each.

        Adapters are known by their names, told apart as `check` does. Raises BadInput when the
        file's names are not theirs.
        """
        from superpose.interference import told_apart

        names = told_apart(adapters)
        if set(names) != set(self.weights):
            raise BadInput(
                f"holds weights of {', '.join(sorted(self.weights))}, and the adapters are "
                f"{', '.join(names)}",
                where=self.path or "weights",
                hint="Give the adapters that were tuned, all of them.",
            )
        if not self.modules:
            return list(adapters), [self.weights[name] for name in names]
        scaled = [a.scaled_by_module(self.modules[n]) for n, a in zip(names, adapters, strict=True)]
        return scaled, [1.0] * len(scaled)


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
    if isinstance(weights, str) and not Path(weights).is_file():
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


def read_weights_file(path: str | os.PathLike[str]) -> WeightsFile:
    """Read a file of task weights.

    `{"weights": {"math": 0.8, ...}}`; where `finer` holds `{"weights": {"math": {"module": 0.9}}}`
    as well, each module's own weight counts. Raises BadInput for anything else.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput("is far too large for a file of weights", where=path)
        content = json.loads(path.read_text(encoding="utf-8"))
        weights = _numbers(content["weights"])
        finer = content.get("finer")
        given = {} if finer is None else finer["weights"]
        modules = {str(name): _numbers(each) for name, each in given.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"is no file of task weights ({_said(error)})",
            where=path,
            hint='Write it with: superpose tune ... --json > FILE, or by hand: {"weights": {...}}',
        ) from None
    if modules and set(modules) != set(weights):
        raise BadInput("`finer` and `weights` are about different adapters", where=path)
    return WeightsFile(path, weights, modules)


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


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, AttributeError | TypeError | LookupError):
        return "weights are no mapping from adapters to numbers"
    return str(error)
