"""What a study shows side by side: predicted and measured, and one method and another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from superpose.measure.evaluate import Score
from superpose.statistics import correlate, ratio_interval, share_interval
from superpose.studies.cells import subsets
from superpose.studies.folder import StudyFolder
from superpose.studies.forecasting import forecast_file
from superpose.studies.scores import UNION, StudyScores, change_percent

__all__ = ["change_interval", "forecast_summary", "methods_summary", "spread"]


def methods_summary(scores: StudyScores) -> list[dict[str, Any]]:
    """Every subset, domain and method: perplexity, and its change in per cent.

    dppl_merged: against merged-data fine-tuning of equal epochs. dppl_single: against each domain's
    own adapter. Mean and spread over seeds, and a 95 % interval over the questions. kept: the share
    of what the own adapter gains over the base that is left, null where it gains nothing.
    """
    rows = []
    for names in subsets(scores.domains):
        for domain in (*names, UNION):
            against = {m: scores.each(m, names, domain) for m in ("merged", "single")}
            base = scores.each("base", names, domain)
            for method in scores.methods:
                found = scores.each(method, names, domain)
                row: dict[str, Any] = {"subset": list(names), "domain": domain, "method": method}
                row["perplexity"] = spread([score.perplexity for score in found])
                for other, theirs in against.items():
                    changes = [change_percent(a, b) for a, b in zip(found, theirs, strict=True)]
                    interval = None if method == other else change_interval(found, theirs)
                    row[f"dppl_{other}"] = spread(changes) | {"interval": interval}
                row["kept"] = _kept(found, base, against["single"])
                rows.append(row)
    return rows


def _kept(found: Sequence[Score], base: Sequence[Score], own: Sequence[Score]) -> dict[str, Any]:
    """The share of the own adapter's gain that is left: seeds are averaged row by row."""
    share = share_interval(_mean_rows(found), _mean_rows(base), _mean_rows(own), seed=0)
    ends = share.interval and [round(end, 6) for end in share.interval]
    return {"share": share.share and round(share.share, 6), "interval": ends}


def forecast_summary(scores: StudyScores, folder: StudyFolder) -> dict[str, Any] | None:
    """What the seeds' forecasts said beside what was measured; None without forecasts.

    rows: for every seed, subset of several and domain of it, in nats an answer token. The forecasts
    are made from calibration rows, the measured values from the test rows.
    """
    if "tuned" not in scores.methods:
        return None
    found = {seed: folder.read(forecast_file(seed)) for seed in scores.seeds}
    rows = [
        _row(scores, seed, names, domain, predicted)
        for seed, content in found.items()
        for names in subsets(scores.domains)
        for domain, predicted in _of_subset(content, names).items()
    ]
    costs = [content["calibration"] for content in found.values()]
    return {
        "rows": rows,
        "inside": {kind: _inside(rows, kind) for kind in ("nll", "interference")},
        "interference": _agreement(rows),
        "advice": [{"seed": seed, **content["advice"]} for seed, content in found.items()],
        "tuned": [{"seed": seed, "weights": content["tuned"]} for seed, content in found.items()],
        "calibration": costs[0] | {"seconds": round(sum(cost["seconds"] for cost in costs), 2)},
    }


def _of_subset(content: Mapping[str, Any], names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """A forecast's rows for the naive sum of `names`, by domain of theirs."""
    wanted = {name: float(name in names) for name in content["adapters"]}
    held = {row["domain"]: row for row in content["rows"] if row["weights"] == wanted}
    return {name: held[name] for name in names}


def _row(
    scores: StudyScores, seed: int, names: Sequence[str], domain: str, predicted: Mapping[str, Any]
) -> dict[str, Any]:
    measured = scores.find("sum", names, seed, domain)
    own = scores.find("single", names, seed, domain)
    assert measured is not None
    assert own is not None
    return {
        "seed": seed,
        "subset": list(names),
        "domain": domain,
        "predicted_nll": round(predicted["predicted_nll"], 6),
        "low": round(predicted["low"], 6),
        "high": round(predicted["high"], 6),
        "measured_nll": round(measured.nll, 6),
        "predicted_interference": round(predicted["interference"], 6),
        "interference_low": round(predicted["interference_low"], 6),
        "interference_high": round(predicted["interference_high"], 6),
        "measured_interference": round(measured.nll - own.nll, 6),
    }


def _inside(rows: Sequence[Mapping[str, Any]], kind: str) -> dict[str, int]:
    """How many measured values lie in the interval that was predicted for them."""
    start = "" if kind == "nll" else "interference_"
    held = [r[f"{start}low"] <= r[f"measured_{kind}"] <= r[f"{start}high"] for r in rows]
    return {"inside": sum(held), "of": len(held)}


def _agreement(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Predicted against measured interference: correlations, and the error in nats.

    Without intervals: the points share adapters and domains, and are not independent.
    """
    predicted = np.array([row["predicted_interference"] for row in rows])
    measured = np.array([row["measured_interference"] for row in rows])
    found = correlate(predicted, measured, resamples=100)
    return {
        "n": found.n,
        "pearson": found.pearson,
        "spearman": found.spearman,
        "mean_absolute_error": round(float(np.abs(predicted - measured).mean()), 6),
        "mean_measured": round(float(measured.mean()), 6),
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, and standard deviation over seeds (null for one seed), and the values."""
    deviation = round(float(np.std(values, ddof=1)), 6) if len(values) > 1 else None
    mean = round(float(np.mean(values)), 6)
    return {"mean": mean, "spread": deviation, "values": [round(v, 6) for v in values]}


def change_interval(found: Sequence[Score], others: Sequence[Score]) -> list[float] | None:
    """95 % interval of the change in per cent, over questions: seeds are averaged row by row."""
    tokens = found[0].row_tokens
    interval = ratio_interval(_mean_rows(found), _mean_rows(others), tokens, seed=0).interval
    return None if interval is None else [round(end, 4) for end in interval]


def _mean_rows(scores: Sequence[Score]) -> list[float]:
    rows: list[float] = np.mean([score.row_nll for score in scores], axis=0).tolist()
    return rows
