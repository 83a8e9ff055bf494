"""What predict measures beside task weights: the sum of all, made by another merge method."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from superpose.errors import BadInput, BadSetting
from superpose.verbs.notes import note
from superpose.verbs.progress import Progress, advancing
from superpose.verbs.same_rows import same_rows

if TYPE_CHECKING:
    from superpose.compose.from_inputs import FromInputs
    from superpose.data.prompt import Example
    from superpose.landscape.forecast import Forecast
    from superpose.landscape.merged_sum import MergedSum
    from superpose.verbs.calibrating import Calibrating
    from superpose.verbs.settings import Questions

__all__ = ["NONE", "measured_merge", "merge_beside"]

NONE = "none"


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
    progress: Progress | None,
) -> MergedSum | None:
    """Measure the merge of all adapters on the calibration rows, and on test rows if there are any.

    method: None measures nothing. Where it cannot be made or breaks the model that is said, and
    there is nothing.
    """
    if method is None:
        return None
    from superpose.landscape.merged_sum import MergedSum, merged_on
    from superpose.measure.merged import CROSSED_PASSES, crossed_losses

    began, rows = time.perf_counter(), sum(map(len, ready.examples.values()))
    more = rows + sum(map(len, tests.values())) if tests else 0
    advance = advancing(progress, method.name, CROSSED_PASSES * rows + more)
    try:
        losses = crossed_losses(ready.base.model, ready.adapters, ready.examples, method, advance)
        # Of the passes that are told: test rows are asked for, and measured, on their own account.
        seconds = round(time.perf_counter() - began, 2)
        on_tests = _on_tests(method, ready, tests, advance)
    except BadInput as error:
        note("warning", f"`{method.name}` is not measured: {error.problem}")
        return None
    domains = tuple(
        merged_on(found, place, nats, on_tests.get(name))
        for place, (name, nats) in enumerate(zip(found.domains, losses, strict=True))
    )
    words = ["superpose", "add", *ready.given, "--method", method.name]
    command = shlex.join([*words, *same_rows(ready, questions), "-o", "OUT"])
    return MergedSum(method.name, domains, CROSSED_PASSES, seconds, command)


def _on_tests(
    method: FromInputs, ready: Calibrating, tests: Mapping[str, list[Example]], advance: Any
) -> dict[str, float]:
    """Give the nats an answer token on test rows, under the merge that the command writes."""
    from superpose.measure.merged import merged_losses

    if not tests:
        return {}
    losses = merged_losses(ready.base.model, ready.adapters, ready.examples, tests, method, advance)
    tokens = [sum(len(row.answer) for row in rows) for rows in tests.values()]
    return {
        name: float(nats.sum()) / count
        for name, nats, count in zip(tests, losses, tokens, strict=True)
    }
