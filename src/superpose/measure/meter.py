"""What a superposed model makes of rows at task weights: measured, or read where it was kept.

A measurement is of one set of rows at one point of lambda space. Kept ones are files that are named
by both, so that workers share them, an ended command goes on, and nothing is measured twice.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from superpose.data.choices import ChoiceQuestion
from superpose.data.prompt import Example
from superpose.executor import WorkFolder
from superpose.files import new_file
from superpose.landscape.choice_sample import ChoiceSample, margins
from superpose.landscape.sample import Sample
from superpose.measure.calibrate import measure
from superpose.measure.choices import choice_nll, measure_choices
from superpose.measure.evaluate import score
from superpose.model.superposed import SuperposedModel

__all__ = ["KeptMeter", "Meter", "Point", "rows_mark"]

Array: TypeAlias = NDArray[np.float64]
Point: TypeAlias = Sequence[float] | Array
Tell: TypeAlias = Callable[[int], None]
Arrays: TypeAlias = Mapping[str, NDArray[np.generic]]
S = TypeVar("S", Sample, ChoiceSample)


class Meter:
    """Measures; every time anew. progress: called with rows, or questions, done."""

    def rows(
        self,
        model: SuperposedModel,
        examples: Sequence[Example],
        points: Sequence[Point],
        *,
        gradients: bool = True,
        progress: Tell | None = None,
    ) -> Sample:
        """Give losses, and their slopes, of rows at points. As `measure`."""
        kind = "slopes" if gradients else "rows"
        measured = partial(measure, model, examples, gradients=gradients)
        return self._samples(kind, examples, points, measured, _sample, progress)

    def choices(
        self,
        model: SuperposedModel,
        questions: Sequence[ChoiceQuestion],
        points: Sequence[Point],
        *,
        gradients: bool = True,
        progress: Tell | None = None,
    ) -> ChoiceSample:
        """Give nats of choices, and slopes of margins, at points. As `measure_choices`."""
        kind = "choice slopes" if gradients else "choices"
        measured = partial(measure_choices, model, questions, gradients=gradients)
        return self._samples(kind, questions, points, measured, _choice_sample, progress)

    def nll(
        self,
        model: SuperposedModel,
        examples: Sequence[Example],
        point: Point,
        progress: Tell | None = None,
    ) -> float:
        """Give the mean nats an answer token of rows at a point."""
        return self._number("nll", examples, point, partial(_nll, model, examples, point), progress)

    def share(
        self,
        model: SuperposedModel,
        questions: Sequence[ChoiceQuestion],
        point: Point,
        progress: Tell | None = None,
    ) -> float:
        """Give the share of questions whose answer is the likeliest choice at a point."""
        measured = partial(_share, model, questions, point)
        return self._number("share", questions, point, measured, progress)

    def kept(self, file: str, measured: Callable[[], Arrays]) -> Arrays:
        """Give what `measured` gives; of a meter with a folder, `file` keeps it there."""
        return measured()

    def _samples(
        self,
        kind: str,
        rows: Sequence[object],
        points: Sequence[Point],
        measured: Callable[..., S],
        made: Callable[[Arrays], S],
        progress: Tell | None,
    ) -> S:
        """Measure at points. measured: does. made: of the arrays that a sample consists of."""
        return measured(points, progress=progress)

    def _number(
        self,
        kind: str,
        rows: Sequence[object],
        point: Point,
        measured: Callable[..., float],
        progress: Tell | None,
    ) -> float:
        return measured(progress=progress)


class KeptMeter(Meter):
    """Measures what is not kept yet in a folder, each point apart, and keeps it there.

    Raises BadInput where a file of it cannot be read.
    """

    def __init__(self, folder: WorkFolder) -> None:
        self.folder = folder

    def file(self, kind: str, rows: Sequence[object], point: Point) -> str:
        """Where a measurement lies within the folder.

        kind: `rows` or `slopes`, `choices` or `choice slopes`, `nll`, `share`.
        """
        weights = [float(weight) + 0.0 for weight in point]  # -0.0 is 0.0
        name = hashlib.sha256(f"{kind} {weights} {rows_mark(rows)}".encode()).hexdigest()[:24]
        return f"measured/{name}.npz"

    def _samples(
        self,
        kind: str,
        rows: Sequence[object],
        points: Sequence[Point],
        measured: Callable[..., S],
        made: Callable[[Arrays], S],
        progress: Tell | None,
    ) -> S:
        if not len(points):
            return measured(points)
        found: list[S] = []
        for point in points:
            arrays = partial(_arrays_of, measured, point)
            found.append(made(self.kept(self.file(kind, rows, point), arrays)))
            _told(progress, rows)
        return reduce(lambda all_of, one: all_of.joined(one), found)

    def _number(
        self,
        kind: str,
        rows: Sequence[object],
        point: Point,
        measured: Callable[..., float],
        progress: Tell | None,
    ) -> float:
        found = self.kept(self.file(kind, rows, point), lambda: {"value": np.array(measured())})
        _told(progress, rows)
        return float(found["value"].item())

    def kept(self, file: str, measured: Callable[[], Arrays]) -> Arrays:
        """Give the arrays of a file of the folder, which is made where it is not there."""
        path = self.folder.path / file
        if not path.exists():
            with new_file(path) as beside, beside.open("wb") as to:
                np.savez(to, **measured())  # type: ignore[arg-type]
        try:
            with np.load(path, allow_pickle=False) as found:
                return dict(found)
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            raise self.folder.damaged(path) from None


def _nll(
    model: SuperposedModel,
    examples: Sequence[Example],
    point: Point,
    progress: Tell | None = None,
) -> float:
    with model.at([*map(float, point)]) as weighted:
        return score(weighted, examples, progress=progress).nll


def _share(
    model: SuperposedModel,
    questions: Sequence[ChoiceQuestion],
    point: Point,
    progress: Tell | None = None,
) -> float:
    with model.at([*map(float, point)]) as weighted:
        nll = choice_nll(weighted, questions, progress=progress).nll
    right = np.array([question.right for question in questions])
    return float(np.mean(margins(nll, right) > 0))


def _arrays_of(measured: Callable[..., object], point: Point) -> Arrays:
    return vars(measured([point]))


def _sample(arrays: Arrays) -> Sample:
    modules = tuple(map(str, arrays["modules"]))
    return Sample(**{**arrays, "modules": modules})  # type: ignore[arg-type]


def _choice_sample(arrays: Arrays) -> ChoiceSample:
    return ChoiceSample(**arrays)  # type: ignore[arg-type]


def rows_mark(rows: Sequence[object]) -> str:
    """Give the start of a SHA-256 of rows or questions as tokens: what a model is given of them."""
    return hashlib.sha256(repr(list(rows)).encode()).hexdigest()[:16]


def _told(progress: Tell | None, rows: Sequence[object]) -> None:
    if progress is not None:
        progress(len(rows))
