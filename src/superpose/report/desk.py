"""The mixing desk: the small model of lambda space, for the page to predict any weighting."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.landscape.predictions import Predictions
from superpose.report.page import Section
from superpose.report.texts import command_line

__all__ = ["LEAST", "MOST", "Desk", "desk_section", "gains", "presets"]

LEAST, MOST = -0.5, 1.5
"""How far the sliders go."""


@dataclass(frozen=True)
class Desk:
    """One small model with what can be done with it.

    label: which of several it is. model: as `Forecast.to_model` gives it. presets: (name, weights).
    given: the words behind `superpose add`: the adapters, in the model's order, and its options.
    gains: of each domain, what its own adapter gains over the base, in nats an answer token; None
    where that may be nothing.
    """

    label: str
    model: Mapping[str, Any]
    presets: Sequence[tuple[str, Sequence[float]]]
    given: Sequence[str]
    gains: Sequence[float | None] = ()


def desk_section(desks: Sequence[Desk], start: str = "naive") -> Section:
    """Give the section.

    desks: of the same adapters and domains, such as one a seed. start: the preset it opens at.
    """
    first = desks[0]
    names = [str(name) for name in first.model["adapters"]]
    values = {
        "adapters": names,
        "domains": [domain["name"] for domain in first.model["domains"]],
        "right": [domain.get("right") is not None for domain in first.model["domains"]],
        "presets": [name for name, _ in first.presets],
        "labels": [desk.label for desk in desks],
        "least": LEAST,
        "most": MOST,
    }
    data = {
        "desks": [_data(desk) for desk in desks],
        "start": [name for name, _ in first.presets].index(start),
    }
    return Section("desk", "Mixing desk", values, data)


def gains(known: Predictions) -> list[float | None]:
    """Give what each domain's own adapter gains over the base, None where chance would do it."""
    return [known.at(known.base, domain).sure_interference for domain in known.domains]


def presets(
    adapters: Sequence[str], tuned: Sequence[tuple[str, Mapping[str, float]]]
) -> list[tuple[str, list[float]]]:
    """Give the weightings that a desk offers. tuned: more of them, by name."""
    count = len(adapters)
    found = [("naive", [1.0] * count)]
    if count > 1:
        found.append(("average", [1.0 / count] * count))
    found += [(name, [float(weights[a]) for a in adapters]) for name, weights in tuned]
    found += [(f"{a} alone", [float(b == a) for b in adapters]) for a in adapters]
    return [*found, ("base", [0.0] * count)]


def _data(desk: Desk) -> dict[str, Any]:
    return {
        "model": {
            "adapters": list(desk.model["adapters"]),
            "domains": [_domain(domain) for domain in desk.model["domains"]],
        },
        "presets": [list(weights) for _, weights in desk.presets],
        "gains": list(desk.gains) or [None] * len(desk.model["domains"]),
        "command": command_line(["superpose", "add", *desk.given]),
    }


def _domain(domain: Mapping[str, Any]) -> dict[str, Any]:
    """Give a domain's polynomial; its covariance packed, or it would be most of the page."""
    columns = list(zip(*domain["points"], strict=True))
    return {
        **domain,
        "covariance": _packed(domain["covariance"]),
        "right": _right(domain.get("right")),
        "box": [[min(column), max(column)] for column in columns],
    }


def _right(right: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Give what tells a domain's right answers; what is long in float32, a millionth of a nat."""
    if right is None:
        return None
    packed = {
        key: _packed([value for row in right[key] for value in row], "f")
        for key in ("seen", "shares", "margins")
    }
    return {**right, **packed}


def _packed(values: Sequence[float], kind: str = "d") -> str:
    """Give numbers as base64 of little-endian float64: exact, and half as long as decimals."""
    return base64.b64encode(struct.pack(f"<{len(values)}{kind}", *values)).decode("ascii")
