"""What docs/prediction.md says of the forecast's intervals, from the second run's record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.prediction.markdown import nats, table, yes_or_no
from benchmarks.second.coverage import CROSS_AT_NINE, ENOUGH, HONEST, NINE
from benchmarks.second.settings import PARTNERS
from superpose.landscape.polynomial import CROSS

__all__ = ["coverage_page"]

COVERAGE = """\
How often a 95 % interval holds what was measured, L(weighting) - L(own), where the forecast had no
measurement: triples, quadruples and weights drawn from [0, 1.5], forecast with all {all} adapters,
and with each drawn four that hold the domain's own. On *test* rows that is the interval of
`predict` as it is printed; registered: at least 90 % in each group of at least {enough}. On the
*calibration* rows, which the forecast was fitted to, no other rows come in, so only its part for
what the polynomial may miss is asked.

*As registered* and the columns behind it are of the intervals as they were when this was measured:
there *elsewhere* leaves out television and world of seed 0, on which their width had been set.
Where they held less than 90 %, at drawn weights and at triples of six, the forecast had been too
high: with next to nothing of the own adapter the others' alone bring most of its gain, and losses
far out grow less than a quadratic does. So intervals were widened until every group had its 90 %
(`AWAY`, `CROSS` in the mathematics) with seeds 0 and 1 at hand, and what saturates came in: *held
now* is a fit to these and no test, but of *new seeds*, which had not been looked at. In brackets
Clopper and Pearson's interval of the share, as if all were independent, which those that share rows
and adapters are not.
"""

WITH_NINE = """\
With nine adapters (the six and {partners}; `python -m benchmarks.second nine`) nothing had been
looked at before the first two widths were set: seed 0, the first 64 of each row kind, seven
weightings of a kind on each of the six domains. Three and four of nine held less than 90 %, so
intervals were widened once more (`CROSS` from {then} to {cross}): *held now* is a fit to nine too,
and *new seeds* is how intervals held before that. Most of what fell out is the rows' own: 64 test
rows differ from 64 calibration rows by as much as what is foretold, and an interval of `predict` is
of the domain's loss, not of a measurement on other few rows. With the test rows' sampling error
counted beside it, the intervals as they were held {met}. And the
loss of the sum of nine, at which what saturates is set, lies far from sums of three.
"""

WITHOUT_NINE = """\
With nine adapters nothing can be counted yet: the first run's record holds forecasts and what was
measured, but neither row losses nor intervals, and its folder was not kept.
"""


def coverage_page(record: Mapping[str, Any]) -> Iterator[str]:
    """Give how often intervals held; nothing where nothing was counted."""
    groups = record["coverage"]["groups"]
    if not groups:
        return
    yield "## Second run: are the intervals honest?\n"
    yield COVERAGE.format(all=len(record["adapters"]), enough=ENOUGH)
    head = ["forecast with", "of", "rows", "number", "as registered", "elsewhere", "at least 90 %"]
    rows = [
        [f"{each['adapters']} adapters", each["kind"], each["rows"], str(each["n"])]
        + [f"{100 * each['held_before'] / each['n']:.0f} %"]
        + ["{} of {}".format(*each["fresh_before"]), _honest(each), _share(each)]
        + ["{} of {}".format(*each["fresh"]) if each["fresh"][1] else "none yet"]
        + [nats(each[key]) for key in ("half_width", "error")]
        + [f"{each['mean']:+.4f}"]
        for each in groups
    ]
    more = ["held now", "new seeds", "half width now", "error", "mean (nats)"]
    yield from table([*head, *more], rows)
    yield _of_nine([each for each in groups if each["adapters"] == NINE])


def _of_nine(groups: Sequence[Mapping[str, Any]]) -> str:
    if not groups:
        return WITHOUT_NINE
    met = ["{} of {} {kind}".format(*each["fresh_met"], kind=each["kind"]) for each in groups]
    partners = ", ".join(PARTNERS)
    return WITH_NINE.format(partners=partners, then=CROSS_AT_NINE, cross=CROSS, met=", ".join(met))


def _honest(group: Mapping[str, Any]) -> str:
    """Say whether the registered bound held; of too few it is not asked."""
    if group["rows"] != "test":
        return ""
    if group["n"] < ENOUGH:
        return f"fewer than {ENOUGH}"
    return yes_or_no(group["held_before"] >= HONEST * group["n"])


def _share(group: Mapping[str, Any]) -> str:
    low, high = group["interval"]
    return f"{100 * group['held'] / group['n']:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
