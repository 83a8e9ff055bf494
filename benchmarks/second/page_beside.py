"""What the page says of the sign of dPPL and of norm-matched adapters, from the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.prediction.markdown import figure, signed, table

__all__ = ["norms_page", "signs_page"]

SIGNS = """\
## Second run: does the sign of dPPL turn with training?

One pair ({pair}), one seed, two learning rates for one epoch and three; single adapters and the one
on merged data trained alike, that for as many epochs or for as many steps as a single one. dPPL %
of the naive sum on both domains' test rows together, with 95 % intervals over these rows, the same
rows drawn for both. Registered: the sign *turns* where two trainings' intervals lie on different
sides of zero, *stays* where all of them lie on one side, and is open otherwise.
"""

VERDICTS = {"turns": "**it turns**", "stays": "it stays", "open": "open"}

TITLES = {"merged-epochs": "equal epochs", "merged-steps": "equal steps"}

NORMS = """\
## Second run: adapters of one norm

Every adapter scaled to the geometric mean of the norms, its own loss measured anew; pairs of seed 0
on the domains' test rows, beside the same pairs as they were trained. Lambda space was not
calibrated again: it foretells the scaled weights from what it measured. What else needs data was
not measured there. Registered: the ranking is another one where a predictor's Spearman changes by
more than its paired interval allows, domains drawn.
"""


def signs_page(record: Mapping[str, Any]) -> Iterator[str]:
    """Show each training, and whether the sign turns; that it was not done, where it was not."""
    found = record["signs"]
    if found is None:
        yield "The sign of dPPL under longer training (question 5) was not measured.\n"
        return
    yield SIGNS.format(pair=" and ".join(found["trainings"][0]["pair"]))
    head = ["rate", "epochs", "base", "own adapters", "sum", "merged, epochs", "merged, steps"]
    ways = ("base", "own", "sum", "merged-epochs", "merged-steps")
    rows = [
        [f"{each['rate']:g}", str(each["epochs"])]
        + [f"{each['perplexity'][way]:.2f}" for way in ways]
        + [_change(each[way]) for way in ("merged-epochs", "merged-steps", "own")]
        for each in found["trainings"]
    ]
    changes = ["dPPL %, equal epochs", "dPPL %, equal steps", "against own adapters, %"]
    yield from table([*head, *changes], rows)
    said = "; ".join(
        f"against merged data of {TITLES[budget]} {VERDICTS[verdict]}"
        for budget, verdict in found["verdicts"].items()
    )
    missing = f" {found['left_out']} of the trainings are not done." if found["left_out"] else ""
    yield f"With training, {said}.{missing}\n"


def _change(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['percent']:+.1f} [{low:+.1f}, {high:+.1f}]"


def norms_page(record: Mapping[str, Any]) -> Iterator[str]:
    """Show every predictor as trained and of one norm; that it was not done, where it was not."""
    found = record["norms"]
    if found is None:
        yield "Norm-matched adapters (question 6) were not measured.\n"
        return
    yield NORMS
    if found["missing"]:
        yield f"Not measured there: {', '.join(found['missing'])}.\n"
    rows = [
        [
            each["name"],
            *(figure(each[key], None) for key in ("plain", "matched")),
            _less(each),
            signed(each["interval"]),
        ]
        for each in found["predictors"]
    ]
    head = ["Spearman among pairs", "as trained", "of one norm", "change", "95 % interval"]
    yield from table(head, rows)
    yield _ranking(found)


def _less(each: Mapping[str, Any]) -> str:
    if each["plain"] is None or each["matched"] is None:
        return ""
    return f"{each['matched'] - each['plain']:+.2f}"


def _ranking(found: Mapping[str, Any]) -> str:
    """Say whether the ranking is another one, and how alike the losses themselves are."""
    changed = found["changed"]
    verdict = (
        f"The ranking is another one: what changes beyond its interval is {', '.join(changed)}."
        if changed
        else "No predictor's Spearman changes beyond its interval."
    )
    order = "" if found["order"] is None else (
        f" The {found['ranked']} that have one both times stand in orders whose Spearman with each "
        f"other is {found['order']:.2f}."
    )  # fmt: skip
    alike = "" if found["alike"] is None else (
        f" The {found['n']} losses themselves, as trained and of one norm: {found['alike']:.2f}."
    )  # fmt: skip
    return f"{verdict}{order}{alike}\n"
