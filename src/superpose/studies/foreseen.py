"""How much a study is before it runs: cells, tokens, hours, and what is left of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from superpose.data.prompt import Example
from superpose.errors import Missing
from superpose.shown import Line
from superpose.studies.effort import RECORDED, Effort, Pace, measured_pace
from superpose.studies.run import Study

__all__ = ["Foreseen", "foresee"]


@dataclass(frozen=True)
class Foreseen:
    """What a study takes as a whole, what is left, and the pace that hours are counted at.

    unread: why rows are counted as long as they may be; empty where their tokens were counted.
    """

    whole: Effort
    left: Effort
    pace: Pace
    unread: str

    def to_json(self) -> dict[str, Any]:
        """Give what `study --dry-run --json` says beside the cells."""
        pace = self.pace
        return {
            **{key: _json(effort, pace) for key, effort in _named(self)},
            "pace": {
                "training_tokens_per_second": round(pace.training, 1),
                "forward_tokens_per_second": round(pace.forward, 1),
                "source": pace.source,
            },
            "at_most": bool(self.unread),
            "unread": self.unread or None,
        }

    def shown(self) -> Iterator[Line]:
        """Give the same in lines."""
        most = "at most " if self.unread else ""
        for name, effort in _named(self):
            yield Line(
                f"{name}: {most}{effort.training:,.0f} tokens to train on and "
                f"{effort.forward:,.0f} forward (evaluation, forecasts), "
                f"{most or 'about '}{_in_words(effort.hours(self.pace))}",
            )
        yield Line(
            f"hours: at {self.pace.training:,.0f} tokens a second in training and "
            f"{self.pace.forward:,.0f} forward, {self.pace.source}",
        )
        if self.unread:
            yield Line(
                f"at most: every row is counted as long as it may be, as {self.unread}",
            )


def foresee(study: Study) -> tuple[Study, Foreseen]:
    """Say what a study takes; give it too, or one in its place of which no row was read.

    Rows are read and their tokens counted, and the pace is measured on the base model. Where base
    or data are not here, rows are as long as they may be; without the base the pace is RECORDED.
    Raises BadInput where another study is in the folder, and Missing where that cannot be told.
    """
    unread = ""
    try:
        study.check_settings()
        study.folder.claim(study.identity(), begin=False)
    except Missing as why:
        if study.folder.path.exists():
            raise
        unread = f"{why.where}: {why.problem}" if why.where else why.problem
        study = _Unread(study.spec, study.folder.path, relative_to=study.relative_to)
    left = Effort.of(t for t in study.tasks if not (study.folder.path / t.file).exists())
    return study, Foreseen(Effort.of(study.tasks), left, _pace(study), unread)


class _Unread(Study):
    """A study whose base or data are not here: every row as long as its settings allow."""

    @cached_property
    def train_examples(self) -> dict[str, list[Example]]:
        return self._rows(self.spec.train_rows)

    @cached_property
    def test_examples(self) -> dict[str, list[Example]]:
        return self._rows(self.spec.test_rows)

    @cached_property
    def calibration_examples(self) -> dict[str, list[Example]]:
        return self._rows(self.spec.calibration_rows)

    def _rows(self, count: int) -> dict[str, list[Example]]:
        most = self.spec.prompt.max_tokens
        longest = Example((0,) * (most // 2), (0,) * (most - most // 2))
        return {name: [longest] * count for name in self.spec.domains}


def _pace(study: Study) -> Pace:
    try:
        base = study.base
    except Missing:
        return RECORDED
    rows = [
        row for of_domain in zip(*study.train_examples.values(), strict=True) for row in of_domain
    ]
    return measured_pace(base, rows, study.spec.lora)


def _named(found: Foreseen) -> tuple[tuple[str, Effort], ...]:
    return (("whole", found.whole), ("left", found.left))


def _json(effort: Effort, pace: Pace) -> dict[str, float]:
    return {
        "training_tokens": round(effort.training),
        "forward_tokens": round(effort.forward),
        "hours": round(effort.hours(pace), 4),
    }


def _in_words(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} hours"
    return f"{60 * hours:.0f} minutes" if hours * 60 >= 1 else "a minute"
