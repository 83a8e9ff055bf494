"""What became of one merge method, or of what it is held against, row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from superpose.adapter.delta import FineWeight
from superpose.adapter.made import Setting
from superpose.measure.evaluate import Score
from superpose.statistics.bootstrap import Interval
from superpose.statistics.shares import wilson

__all__ = ["Standing", "Trial"]


@dataclass(frozen=True)
class Trial:
    """One setting at one scale on the calibration rows.

    nll: by domain, nats an answer token; infinite where the model broke.
    """

    settings: Mapping[str, Setting]
    scale: float
    nll: Mapping[str, float]

    @property
    def objective(self) -> float:
        """What is to be small: the mean over the domains, each counting alike."""
        return math.fsum(self.nll.values()) / len(self.nll)

    def to_json(self) -> dict[str, Any]:
        """Give its fields; a loss that is infinite is null."""
        nll = {name: x if math.isfinite(x) else None for name, x in self.nll.items()}
        return {**vars(self), "nll": nll}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Trial:
        """Read what `to_json` gave."""
        nll = {name: math.inf if x is None else x for name, x in content["nll"].items()}
        return cls(content["settings"], content["scale"], nll)


@dataclass(frozen=True)
class Standing:
    """What became of one method.

    settings, scale: that were chosen. trials: all that were measured on the calibration rows.
    passes: over these rows, in forward passes. scores: on the test rows, by domain. right: by
    domain, of each test question that has choices whether its answer's is the likeliest. rank: the
    largest of a module. bytes: of the result's factors in float32. merging, seconds: that one merge
    took, and all of it. fine: of a tuned sum the weights of each adapter, by module.
    """

    method: str
    settings: Mapping[str, Setting]
    scale: float
    trials: tuple[Trial, ...]
    passes: float
    scores: Mapping[str, Score]
    right: Mapping[str, tuple[bool, ...]]
    rank: int
    bytes: int
    merging: float
    seconds: float
    fine: tuple[Mapping[str, FineWeight], ...] = field(default=())

    @property
    def objective(self) -> float:
        """The mean over the domains of the test rows' nats an answer token."""
        return math.fsum(found.nll for found in self.scores.values()) / len(self.scores)

    @property
    def union(self) -> Score:
        """The score on the union of the test sets, in which long answers count more."""
        return Score.union(self.scores.values())

    @property
    def accuracy(self) -> float | None:
        """The mean over the domains of the share of questions answered right; None without any."""
        shares = [sum(each) / len(each) for each in self.right.values() if each]
        return math.fsum(shares) / len(shares) if shares else None

    @property
    def accuracy_intervals(self) -> dict[str, Interval]:
        """By domain with choices, Wilson's interval of the share answered right."""
        return {name: wilson(sum(each), len(each)) for name, each in self.right.items() if each}

    def to_json(self) -> dict[str, Any]:
        """Give all of it; `from_json` gives it back."""
        return {
            **vars(self),
            "trials": [trial.to_json() for trial in self.trials],
            "scores": {name: vars(found) for name, found in self.scores.items()},
            "fine": [dict(weights) for weights in self.fine],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Standing:
        """Read what `to_json` gave."""
        read = {
            "trials": tuple(map(Trial.from_json, content["trials"])),
            "scores": {
                name: Score(tuple(found["row_nll"]), tuple(found["row_tokens"]))
                for name, found in content["scores"].items()
            },
            "right": {name: tuple(each) for name, each in content["right"].items()},
            "fine": tuple(
                {m: tuple(w) if isinstance(w, list) else w for m, w in weights.items()}
                for weights in content["fine"]
            ),
        }
        return cls(**{**content, **read})
