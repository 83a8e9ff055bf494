"""The second run in two points, for the head of docs/prediction.md."""

from __future__ import annotations

import json
from collections.abc import Iterator

from benchmarks.prediction.brief import best_without_data
from benchmarks.prediction.markdown import spearman
from benchmarks.second.rows import RECORD

__all__ = ["second_in_short"]


def second_in_short() -> Iterator[str]:
    """Say who ranks how well, and what was missed of what had been registered; or nothing."""
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else None
    if not record or not record["promised"]:
        return
    every = {each["name"]: each["groups"]["all"] for each in record["predictors"]}
    rivals = {
        "sum evaluated": "the very sum evaluated on the calibration rows",
        (free := best_without_data(record, "all")): f"the best without data ({free})",
        "count": "the number of adapters",
    }
    leads = record["promised"]["leads"]
    sure = [said for name, said in rivals.items() if leads[name]["interval"][0] > 0]
    yield (
        f"- Second run, registered beforehand, {every['count']['n']} losses: lambda space "
        f"{spearman(every['lambda space'])}, "
        + ", ".join(f"{said} {spearman(every[name])}" for name, said in rivals.items())
        + f". Lambda space is surely ahead of {' and '.join(sure) if sure else 'none of these'}."
    )
    was, now = (record["forms"][form]["all"]["share"]["value"] for form in ("registered", "now"))
    yield (
        f"- Its error there is {was:.2f} of the mean interference as registered (bound 1/3), "
        f"{now:.2f} in the form that was changed for it."
    )
    if record["right"]:
        told = record["right"]["ways"]["predicted"]
        yield (
            f"- Right answers are foretold {told['points']:.1f} points off, with Spearman "
            f"{spearman(told)} (bounds 5 and 0.8)."
        )
