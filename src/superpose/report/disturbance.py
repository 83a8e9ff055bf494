"""Who disturbs whom, and through which modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from superpose.report.heat import matrix, modules_grid, scale_json, union_of_modules
from superpose.report.page import Section
from superpose.shown import Scale
from superpose.shown.words import figure

__all__ = ["disturbance_section"]

WHOLE = Scale("nats an answer token", "", 0.01, 3.0, "+.3f", (-1, -0.1, 0.01, 0.03, 0.1, 0.3, 1, 3))


def disturbance_section(found: Mapping[str, Any], remark: str = "") -> Section:
    """Give the section for what `predict --json` holds. remark: whose adapters these are."""
    disturbances: Sequence[Mapping[str, Any]] = found["disturbances"]
    domains, adapters = list(found["domains"]), list(found["adapters"])
    at = {(d["domain"], d["adapter"]): k for k, d in enumerate(disturbances)}

    def value(row: int, column: int) -> tuple[float | None, str, int] | None:
        k = at.get((domains[row], adapters[column]))
        return None if k is None else (disturbances[k]["nll"], _says(disturbances[k]), k)

    labels = [f"{d['domain']} disturbed by {d['adapter']}" for d in disturbances]
    caption = (
        "Nats an answer token that the domain (down) loses when the adapter (across) joins its own"
    )
    maps = [matrix("disturbance", caption, "domain", (domains, adapters), WHOLE, value)]
    values = {
        "maps": maps,
        "labels": labels,
        "chosen": 0,
        "figures": [("nats", "Nats")],
        "many": any(d["modules"] for d in disturbances),
        "remark": remark,
        "closed": True,
    }
    data = {"heat": _modules(disturbances, labels)}
    return Section("disturbance", "Who disturbs whom", values, data)


def _modules(disturbances: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """Give the map of modules of every disturbance."""
    names = union_of_modules([d["modules"] for d in disturbances])
    return {
        "grid": modules_grid(names),
        "labels": list(labels),
        "texts": [{"strong": _strong(d), "text": _through(d)} for d in disturbances],
        "scales": {"nats": scale_json(_scale(disturbances))},
        "values": {
            "nats": [[_rounded(d["modules"].get(name)) for name in names] for d in disturbances]
        },
        "chosen": 0,
    }


def _scale(disturbances: Sequence[Mapping[str, Any]]) -> Scale:
    """A scale for parts by module, up to the largest of them."""
    parts = [abs(part) for d in disturbances for part in d["modules"].values() if part is not None]
    full = max(parts, default=0.0) or 1.0
    digits = 3 if full > 0.02 else 4
    form = f"+.{digits}f"
    steps = tuple(round(full * share, digits) for share in (-1.0, -0.5, 0.0, 0.5, 1.0))
    return Scale("nats an answer token", "", 0.0, full, form, steps)


def _says(d: Mapping[str, Any]) -> str:
    return (
        f"{d['adapter']} costs {d['domain']} {figure(d['nll'], '+.3f')} nats "
        f"({figure(d['nll_low'], '+.3f')} to {figure(d['nll_high'], '+.3f')})"
    )


def _strong(d: Mapping[str, Any]) -> str:
    return f"{figure(d['nll'], '+.3f')} nats."


def _through(d: Mapping[str, Any]) -> str:
    kinds = [f"{kind} {figure(nats, '+.3f')}" for kind, nats in list(d["kinds"].items())[:3]]
    return (
        f"95 % interval {figure(d['nll_low'], '+.3f')} to {figure(d['nll_high'], '+.3f')}, "
        f"measured on calibration rows; most through {', '.join(kinds)}."
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
