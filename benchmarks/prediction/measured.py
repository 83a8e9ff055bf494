"""Read what was measured: one row a point and member domain, with its interference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.prediction.points import Point
from superpose.errors import BadInput
from superpose.measure.evaluate import Score
from superpose.studies.folder import StudyFolder

__all__ = ["Measured", "Outcome", "losses", "measured"]

Losses = Mapping[Point, Mapping[str, Score]]


class Outcome(Protocol):
    """What the other adapters of `point` do to one of its domains, in nats an answer token."""

    @property
    def point(self) -> Point:
        """The sum."""

    @property
    def domain(self) -> str:
        """The domain that it is measured on."""

    @property
    def interference(self) -> float:
        """L_i(sum) - L_i(own); above 0 where the sum is worse."""


@dataclass(frozen=True)
class Measured:
    """What the other adapters of `point` do to one of its domains.

    own: the domain's test rows under its own adapter alone. sum: the same rows under the sum.
    """

    point: Point
    domain: str
    own: Score
    sum: Score

    @property
    def interference(self) -> float:
        """L_i(sum) - L_i(own) in nats an answer token; above 0 where the sum is worse."""
        return self.sum.nll - self.own.nll


def losses(out: str | Path, kind: str = "cells") -> dict[Point, dict[str, Score]]:
    """Everything measured so far, by point and domain. Raises BadInput for a damaged file.

    kind: `cells`, sums as they are; `weighted`, with other task weights, whose method stands in
    the place of a condition.
    """
    folder = StudyFolder(out)
    files = sorted(folder.path.glob(f"{kind}/*/seed-*/*.json"))
    return dict(_read(folder, path.relative_to(folder.path).as_posix()) for path in files)


def measured(found: Losses) -> Iterator[Measured]:
    """One row a point of several adapters and member domain, where its own loss is known too."""
    for point, scores in found.items():
        if point.condition == "base" or len(point.domains) < 2:
            continue
        own_condition = "main" if point.condition == "random" else point.condition
        for domain, score in scores.items():
            own = Point(own_condition, point.seed, (domain,))
            if own in found:
                yield Measured(point, domain, found[own][domain], score)


def _read(folder: StudyFolder, file: str) -> tuple[Point, dict[str, Score]]:
    content: Any = folder.read(file)
    try:
        point = Point(content["condition"], content["seed"], tuple(content["domains"]))
        scores = {
            domain: Score(tuple(rows["row_nll"]), tuple(rows["row_tokens"]))
            for domain, rows in content["scores"].items()
        }
    except (KeyError, TypeError, AttributeError):
        raise BadInput(
            "this measurement cannot be read",
            where=folder.path / file,
            hint="Delete it: measuring makes it anew.",
        ) from None
    return point, scores
