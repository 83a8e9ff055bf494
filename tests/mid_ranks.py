"""Mid-ranks, and Spearman's correlation of points that count several times: NumPy alone."""

from __future__ import annotations

import numpy as np

__all__ = ["ranks", "spearman"]


def ranks(values: np.ndarray) -> np.ndarray:
    """Twice the mid-ranks."""
    order = np.sort(values)
    return np.searchsorted(order, values) + np.searchsorted(order, values, side="right")


def spearman(x: np.ndarray, y: np.ndarray, times: np.ndarray) -> float:
    """times: how often each point is there. NaN where x or y does not vary."""
    centred = []
    for values in (x, y):
        order = np.argsort(values, kind="stable")
        below = np.concatenate([[0.0], np.cumsum(times[order])])
        ends = (np.searchsorted(values[order], values, side=side) for side in ("left", "right"))
        rank = sum(below[end] for end in ends)
        centred.append(rank - times @ rank / times.sum())
    one, other = centred
    lengths = (times @ one**2) * (times @ other**2)
    # What does not vary is rounding of ranks as large as all points together.
    varies = lengths > 1e-12 * float(times.sum()) ** 6
    return float(times @ (one * other) / np.sqrt(lengths)) if varies else np.nan
