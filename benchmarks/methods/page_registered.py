"""What was registered of the arena, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.prediction.markdown import table, yes_or_no

__all__ = ["registered_section"]

SAID = """\
Bounds that were committed before anything was measured, and whether the point value holds. The same
A: of the first seed's pairs, held against the sum at its best scale, which is harder to reach than
the naive sum that was registered.
"""

OWN = """\
The own adapters themselves, each on its own domain, are {:+.1f} % in perplexity off merged data at
equal epochs: each had 24 steps, and merged data of a pair had 48.
"""


def registered_section(record: Mapping[str, Any]) -> Iterator[str]:
    """Give the bounds of `regmean`, what was measured, and whether it holds, line by line."""
    yield from ("## What was registered of regmean", "", SAID)
    rows = [_gap(record), *_better(record), *_union(record), *_same_a(record)]
    yield from table(["", "registered", "measured", "holds"], rows)
    ratio = record["own_against"].get("pairs_union_ratio")
    if ratio is not None:
        yield OWN.format(100 * (ratio - 1))


def _gap(record: Mapping[str, Any]) -> list[str]:
    share = record["ways"]["regmean"]["gap_closed"]["value"]
    asked = ["gap closed", "at least 60 %"]
    if record["gap"]["none"]:
        return [*asked, "no gap", ""]
    return [*asked, f"{100 * share:.0f} %", yes_or_no(share >= 0.6)]


def _better(record: Mapping[str, Any]) -> Iterator[list[str]]:
    bounds = {
        "the naive sum": (record["ways"]["regmean"]["better"], 95),
        "`tuned`, one weight an adapter": (record["against"]["tuned"]["better"], 90),
    }
    for other, (found, least) in bounds.items():
        share = f"{found['hits']} of {found['of']} sums"
        holds = yes_or_no(100 * found["hits"] >= least * found["of"])
        yield [f"better than {other}", f"in at least {least} %", share, holds]


def _union(record: Mapping[str, Any]) -> Iterator[list[str]]:
    for other, most, said in (
        ("merged-epochs", 1.05, "at most +5 %"),
        ("merged-steps", 1.0, "less"),
    ):
        ratio = record["against"][other].get("pairs_union_ratio")
        asked = [f"union's perplexity, pairs, against `{other}`", said]
        if ratio is not None:
            holds = ratio <= most if most > 1 else ratio < most
            yield [*asked, f"{100 * (ratio - 1):+.1f} %", yes_or_no(holds)]


def _same_a(record: Mapping[str, Any]) -> Iterator[list[str]]:
    found = record["same_a"].get("regmean")
    if found is not None:
        worse, error = found["less_than_scaled"], found["error"]
        asked = ["nats against `sum`, the same A", "no more beyond two standard errors"]
        yield [*asked, f"{worse:+.4f} ± {error:.4f}", yes_or_no(worse <= 2 * error)]
