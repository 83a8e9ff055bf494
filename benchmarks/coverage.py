"""How often a forecast's intervals hold what was measured: `python -m benchmarks.coverage RUN`.

RUN is a folder of `benchmarks.second`: for each seed and domain the losses of every row at the
base, each pair (with slopes) and larger sums on calibration rows, and at sums and random task
weights on test rows. Each domain's loss is fitted with K of the adapters from their design points
alone, and held against every other weighting that was measured.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.landscape.polynomial import Polynomial, design_points
from superpose.landscape.sample import Sample
from superpose.statistics import student_quantile

__all__ = ["Held", "held_against", "shares"]

Array = NDArray[np.float64]


class Held(NamedTuple):
    """A prediction beside what was measured, in nats an answer token.

    adapters: K. kind: `sums` or `random weights`. rows: calibration (the very rows that it was
    fitted to) or test (as interference, whose own sampling error widens the interval). off: how far
    it was off. half: of the 95 % interval; on calibration rows that of the misfit alone.
    """

    adapters: int
    kind: str
    rows: str
    off: float
    half: float

    @property
    def inside(self) -> bool:
        """Whether the interval holds what was measured."""
        return abs(self.off) <= self.half


def held_against(fitted: Polynomial, own: Array, measured: Sample, rows: str) -> Iterator[Held]:
    """Hold every weighting of `measured` that the fit has not seen against its prediction.

    own: (K,), the own adapter alone, which `measured` holds as well for test rows.
    """
    wide = student_quantile(0.975, len(fitted.tokens) - 1)
    fresh = ~fitted.measured(measured.points)
    alone = measured.at(own)
    for at in np.flatnonzero(fresh & (measured.points @ own > 0)):
        point = measured.points[at]
        kind = "sums" if np.isin(point, (0, 1)).all() else "random weights"
        if rows == "test":
            found = fitted.predict(point[None], against=own)
            (seen, error), all_of = measured.more(int(at), alone), float(found.error[0])
        else:
            found = fitted.predict(point[None])
            (seen, _), error, all_of = measured.more(int(at)), 0.0, float(found.misfit[0])
        off = float(found.nll[0]) - seen
        yield Held(fitted.adapters, kind, rows, off, wide * float(np.hypot(all_of, error)))


def shares(held: Sequence[Held]) -> list[tuple[int, str, str, int, float, float]]:
    """Give, by K, kind and rows: how many, the share inside, and the mean half interval."""
    groups: dict[tuple[int, str, str], list[Held]] = {}
    for each in held:
        groups.setdefault((each.adapters, each.kind, each.rows), []).append(each)
    found = []
    for key, of in sorted(groups.items()):
        inside, half = (float(np.mean([getattr(e, k) for e in of])) for k in ("inside", "half"))
        found.append((*key, len(of), inside, half))
    return found


def of_run(folder: Path) -> Iterator[Held]:
    """Give all that a run holds: with all of its adapters, and with the four of a domain."""
    for path in sorted(folder.glob("test/*/*.json")):
        parts = [folder / part / path.parent.name / path.name for part in ("slopes", "evaluated")]
        if all(part.exists() for part in parts):
            slopes, values, test = (json.loads(p.read_text()) for p in (*parts, path))
            yield from _of_domain(slopes, values, test)


def _of_domain(*records: Mapping[str, Any]) -> Iterator[Held]:
    slopes, values, test = map(_sample, records)
    own = int(np.flatnonzero(slopes.points[0])[0])
    count = slopes.points.shape[1]
    fours = [np.flatnonzero(p) for p in values.points if p.sum() == 4 and p[own]]
    for kept in map(list, dict.fromkeys(tuple(each) for each in (range(count), *fours))):
        place = kept.index(own)
        among = [sample.among(kept) for sample in (slopes, values, test)]
        _, plain = design_points(place, len(kept))
        at = [among[1].at(point) for point in plain]
        if None in at:
            continue
        chosen = [a for a in at if a is not None]
        design = Sample(
            among[1].points[chosen], among[1].nll[chosen], among[1].gradient[chosen],
            slopes.tokens, slopes.modules,
        )  # fmt: skip
        fitted, alone = Polynomial.fit(among[0].joined(design)), np.eye(len(kept))[place]
        yield from held_against(fitted, alone, among[1], "calibration")
        yield from held_against(fitted, alone, among[2], "test")


def _sample(record: Mapping[str, Any]) -> Sample:
    points, nll = np.array(record["points"]), np.array(record["nll"], dtype=np.float64)
    shape = (*nll.shape, 1, points.shape[1])
    given = record["slopes"]
    gradient = np.full(shape, np.nan) if given is None else np.reshape(given, shape)
    return Sample(points, nll, gradient.astype(np.float64), np.array(record["tokens"]), ("all",))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of a run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of benchmarks.second")
    found = shares(list(of_run(parser.parse_args(arguments).run)))
    print("| adapters | task weights | rows | points | inside 95 % | mean half interval, nats |")
    print("| ---: | --- | --- | ---: | ---: | ---: |")
    for adapters, kind, rows, points, inside, half in found:
        print(f"| {adapters} | {kind} | {rows} | {points} | {100 * inside:.0f} % | {half:.3f} |")


if __name__ == "__main__":
    main()
