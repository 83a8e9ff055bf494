"""What predict measures beside task weights: the sum of all, made by another merge method."""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput, BadSetting
from superpose.verbs.notes import note
from superpose.verbs.progress import Progress, advancing
from superpose.verbs.same_rows import same_rows

if TYPE_CHECKING:
    from superpose.compose.from_inputs import FromInputs
    from superpose.data.prompt import Example
    from superpose.landscape.forecast import Forecast
    from superpose.landscape.merged_sum import MergedSum
    from superpose.measure.meter import Meter
    from superpose.verbs.calibrating import Calibrating
    from superpose.verbs.settings import Questions

__all__ = ["NONE", "measured_merge", "merge_beside"]

NONE = "none"

Array: TypeAlias = NDArray[np.float64]


class _NoMerge(Exception):
    """Why a merge cannot be made; what a folder has kept and cannot be read is another error."""


@contextmanager
def _making() -> Iterator[None]:
    try:
        yield
    except BadInput as error:
        raise _NoMerge(error.problem) from error


def merge_beside(method: str) -> FromInputs | None:
    """Give the method that is measured beside task weights; None for `none`.

    Raises BadSetting for another that rows' inputs do not tell of.
    """
    from superpose.compose import RegMean, Ssr

    kinds: dict[str, type[FromInputs]] = {kind.name: kind for kind in (RegMean, Ssr)}
    if method == NONE:
        return None
    if method not in kinds:
        raise BadSetting(f"{method!r} is none of {', '.join([*kinds, NONE])}", where="method")
    return kinds[method]()


def measured_merge(
    method: FromInputs | None,
    found: Forecast,
    ready: Calibrating,
    tests: Mapping[str, list[Example]],
    questions: Questions,
    meter: Meter,
    progress: Progress | None,
) -> MergedSum | None:
    """Measure the merge of all adapters on the calibration rows, and on test rows if there are any.

    method: None measures nothing. meter: measures, or gives what it has kept. Where the merge
    cannot be made or breaks the model that is said, and there is nothing.
    """
    if method is None:
        return None
    from superpose.landscape.merged_sum import MergedSum, merged_on
    from superpose.measure.merged import CROSSED_PASSES

    rows = sum(map(len, ready.examples.values()))
    more = rows + sum(map(len, tests.values())) if tests else 0
    advance = advancing(progress, method.name, CROSSED_PASSES * rows + more)
    try:
        crossed = partial(_crossed, method, ready, advance)
        found_there = meter.kept(_file(method, ready, {}), crossed)
        # Of the passes that are told: test rows are asked for, and measured, on their own account.
        seconds = round(float(found_there["seconds"]), 2)
        losses = [
            found_there[str(place)].astype(np.float64) for place in range(len(ready.examples))
        ]
        on_tests = _on_tests(method, ready, tests, meter, advance)
    except _NoMerge as error:
        note("warning", f"`{method.name}` is not measured: {error}")
        return None
    domains = tuple(
        merged_on(found, place, nats, on_tests.get(name))
        for place, (name, nats) in enumerate(zip(found.domains, losses, strict=True))
    )
    words = ["superpose", "add", *ready.given, "--method", method.name]
    command = shlex.join([*words, *same_rows(ready, questions), "-o", "OUT"])
    return MergedSum(method.name, domains, CROSSED_PASSES, seconds, command)


def _crossed(method: FromInputs, ready: Calibrating, advance: Any) -> dict[str, Array]:
    """Give the nats of each domain's rows, by its place, under what the other half tells.

    Raises _NoMerge where it cannot be made.
    """
    from superpose.measure.merged import crossed_losses

    began = time.perf_counter()
    with _making():
        losses = crossed_losses(ready.base.model, ready.adapters, ready.examples, method, advance)
    seconds = np.array(time.perf_counter() - began)
    return {**_by_place(losses), "seconds": seconds}


def _by_place(losses: list[Array]) -> dict[str, Array]:
    return {str(place): nats for place, nats in enumerate(losses)}


def _on_tests(
    method: FromInputs,
    ready: Calibrating,
    tests: Mapping[str, list[Example]],
    meter: Meter,
    advance: Any,
) -> dict[str, float]:
    """Give the nats an answer token on test rows, under the merge that the command writes."""
    from superpose.measure.merged import merged_losses

    if not tests:
        return {}

    def measured() -> dict[str, Array]:
        model, learnt = ready.base.model, ready.examples
        with _making():
            return _by_place(merged_losses(model, ready.adapters, learnt, tests, method, advance))

    losses = meter.kept(_file(method, ready, tests), measured)
    tokens = {name: sum(len(row.answer) for row in rows) for name, rows in tests.items()}
    return {
        name: float(losses[str(place)].sum()) / count
        for place, (name, count) in enumerate(tokens.items())
    }


def _file(method: FromInputs, ready: Calibrating, tests: Mapping[str, list[Example]]) -> str:
    """Where losses under a merge are kept, by what it is made of and what it is measured on."""
    from superpose.measure.meter import rows_mark

    marks = [rows_mark(rows) for rows in (*ready.examples.values(), *tests.values())]
    name = hashlib.sha256(f"{method} {marks}".encode()).hexdigest()[:24]
    return f"merged/{name}.npz"
