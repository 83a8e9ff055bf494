"""A calibration as JSON: all target modules' slopes as one, which is all that predictors read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.prediction.field import Field
from superpose.errors import BadInput
from superpose.landscape.predictors import Calibration, DataInner
from superpose.landscape.sample import Sample

__all__ = ["Cost", "content_of", "read_calibration"]


@dataclass(frozen=True)
class Cost:
    """What a part of a calibration took: tokens times forward passes, and seconds."""

    tokens: int
    seconds: float


def content_of(calibration: Calibration, costs: Mapping[str, Cost]) -> dict[str, Any]:
    """Give what is written of a calibration."""
    inner, scattered = calibration.inner, calibration.scattered
    return {
        "costs": {name: asdict(cost) for name, cost in costs.items()},
        "sample": _of_sample(calibration.sample),
        "scattered": None if scattered is None else _of_sample(scattered),
        "inner": {
            "modules": inner.modules,
            "inputs": _digits(inner.inputs, 7),
            "curvature": _digits(inner.curvature, 7),
        },
    }


def read_calibration(field: Field, file: str) -> tuple[Calibration, dict[str, Cost]]:
    """Read a calibration and its costs. Raises BadInput where the file is damaged."""
    content: Any = field.folder.read(file)
    try:
        inner, scattered = content["inner"], content["scattered"]
        calibration = Calibration(
            _to_sample(content["sample"]),
            DataInner(
                np.asarray(inner["inputs"], dtype=np.float64),
                np.asarray(inner["curvature"], dtype=np.float64),
                tuple(inner["modules"]),
            ),
            None if scattered is None else _to_sample(scattered),
        )
        costs = {name: Cost(**cost) for name, cost in content["costs"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise _damaged(field.folder.path / file) from None
    return calibration, costs


def _of_sample(sample: Sample) -> dict[str, Any]:
    known = [not np.isnan(slopes).any() for slopes in sample.gradient]
    slopes = sample.gradient.sum(axis=2)  # (P, R, K): of all target modules together
    return {
        "points": sample.points.tolist(),
        "tokens": sample.tokens.tolist(),
        "nll": _digits(sample.nll, 10),
        "slopes": [_digits(s, 8) if k else None for s, k in zip(slopes, known, strict=True)],
    }


def _to_sample(content: Any) -> Sample:
    points = np.asarray(content["points"], dtype=np.float64)
    nll = np.asarray(content["nll"], dtype=np.float64)
    nothing = np.full((nll.shape[1], points.shape[1]), np.nan)
    slopes = [nothing if s is None else np.asarray(s) for s in content["slopes"]]
    tokens = np.asarray(content["tokens"], dtype=np.int64)
    return Sample(points, nll, np.stack(slopes)[:, :, None], tokens, ("all",))


def _digits(values: np.ndarray, digits: int) -> Any:
    """Nested lists of numbers with so many significant digits."""
    if values.ndim:
        return [_digits(value, digits) for value in values]
    return float(f"{float(values):.{digits}g}")


def _damaged(path: Path) -> BadInput:
    return BadInput(
        "this calibration cannot be read", where=path, hint="Delete it: calibrating makes it anew."
    )
