"""A calibration as JSON: all target modules' slopes as one, which is all that predictors read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.prediction.field import Field
from superpose.errors import BadInput
from superpose.landscape.calibrated import Calibrated, DataInner
from superpose.landscape.sample import Sample

__all__ = ["Cost", "costs_of", "digits", "of_inner", "of_sample", "read_calibration", "read_costs"]


@dataclass(frozen=True)
class Cost:
    """What a part of a calibration took: tokens times forward passes, and seconds."""

    tokens: int
    seconds: float


def costs_of(costs: Mapping[str, Cost]) -> dict[str, Any]:
    """Give what is written of the costs."""
    return {"costs": {name: asdict(cost) for name, cost in costs.items()}}


def of_inner(inner: DataInner) -> dict[str, Any]:
    """Give what is written of inner products."""
    inputs, curvature = (digits(values, 7) for values in (inner.inputs, inner.curvature))
    return {"modules": inner.modules, "inputs": inputs, "curvature": curvature}


def of_sample(sample: Sample) -> dict[str, Any]:
    """Give what is written of a sample."""
    known = [not np.isnan(slopes).any() for slopes in sample.gradient]
    slopes = sample.gradient.sum(axis=2)  # (P, R, K): of all target modules together
    return {
        "points": sample.points.tolist(),
        "tokens": sample.tokens.tolist(),
        "nll": digits(sample.nll, 10),
        "slopes": [digits(s, 8) if k else None for s, k in zip(slopes, known, strict=True)],
    }


def read_calibration(field: Field, file: str, scattered: str) -> Calibrated:
    """Read a calibration and, from a file of its own, its scattered values where they are there.

    Raises BadInput where a file is damaged.
    """
    content: Any = field.folder.read(file)
    there = (field.folder.path / scattered).exists()
    with _reading(field.folder.path / file):
        sample, inner = _to_sample(content["sample"]), _to_inner(content["inner"])
    with _reading(field.folder.path / scattered):
        values = _to_sample(field.folder.read(scattered)["sample"]) if there else None
    return Calibrated(sample, inner, values)


def read_costs(field: Field, file: str) -> dict[str, Cost]:
    """Read what the parts in a file cost. Raises BadInput where it is damaged."""
    content: Any = field.folder.read(file)
    with _reading(field.folder.path / file):
        return {name: Cost(**cost) for name, cost in content["costs"].items()}


def _to_sample(content: Any) -> Sample:
    points = np.asarray(content["points"], dtype=np.float64)
    nll = np.asarray(content["nll"], dtype=np.float64)
    nothing = np.full((nll.shape[1], points.shape[1]), np.nan)
    slopes = [nothing if s is None else np.asarray(s) for s in content["slopes"]]
    tokens = np.asarray(content["tokens"], dtype=np.int64)
    return Sample(points, nll, np.stack(slopes)[:, :, None], tokens, ("all",))


def digits(values: np.ndarray, significant: int) -> Any:
    """Give nested lists of numbers with so many significant digits."""
    if values.ndim:
        return [digits(value, significant) for value in values]
    return float(f"{float(values):.{significant}g}")


def _to_inner(content: Any) -> DataInner:
    inputs, curvature = (
        np.asarray(content[key], dtype=np.float64) for key in ("inputs", "curvature")
    )
    return DataInner(inputs, curvature, tuple(content["modules"]))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise BadInput(
            "this calibration cannot be read",
            where=path,
            hint="Delete it: calibrating makes it anew.",
        ) from None
