"""What a study's files called their figures before, by the names that they have today.

A file of today goes through unchanged, and so does what is no such file: who reads it says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["check_today", "forecast_today", "summary_today"]

Record = Mapping[str, Any]

_PREDICTED = {"predicted_nll": "nll", "low": "nll_low", "high": "nll_high"}
_FORESEEN = {
    "low": "predicted_nll_low",
    "high": "predicted_nll_high",
    "interference_low": "predicted_interference_low",
    "interference_high": "predicted_interference_high",
}


def check_today(content: Any) -> Any:
    """Give `check --json` of a seed's adapters."""
    content = _each(content, "adapters", {"modules": "module_count", "stored": "stored_count"})
    content = _each(content, "pairs", {"floor": "rms_cosine_floor"})
    if not _has_records(content, "pairs"):
        return content
    pairs = [_each(pair, "modules", {"floor": "cosine_floor"}) for pair in content["pairs"]]
    return {**content, "pairs": pairs}


def forecast_today(content: Any) -> Any:
    """Give a seed's forecast."""
    content = _called(content, {"rows": "predictions"})
    for key in ("predictions", "best", "disturbances"):
        content = _each(content, key, _PREDICTED)
    return content


def summary_today(content: Any) -> Any:
    """Give a `summary.json`."""
    content = _each(content, "subsets", {"rows": "measured"})
    if not isinstance(content, Mapping) or not isinstance(content.get("forecast"), Mapping):
        return content
    forecast = _called(content["forecast"], {"rows": "predictions"})
    return {**content, "forecast": _each(forecast, "predictions", _FORESEEN)}


def _each(content: Any, key: str, names: Mapping[str, str]) -> Any:
    """Give a record whose list `key` holds records by today's names."""
    if not _has_records(content, key):
        return content
    return {**content, key: [_called(record, names) for record in content[key]]}


def _has_records(content: Any, key: str) -> bool:
    held = content.get(key) if isinstance(content, Mapping) else None
    return isinstance(held, Sequence) and not isinstance(held, str)


def _called(record: Any, names: Mapping[str, str]) -> Any:
    """Give a record by today's names. names: former -> of today."""
    if not isinstance(record, Mapping):
        return record
    return {names.get(key, key): value for key, value in record.items()}
