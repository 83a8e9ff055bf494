"""The definitions of the merge methods that are told something of each adapter's domain.

In dense float64 NumPy, written from the papers, as those in `definitions`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.definitions import Dense, Matrices, Oracle, svd, weighted


def regmean(moments: Matrices, ridge: float) -> Oracle:
    """Argmin sum |(W - D_k) X_k|^2 with a ridge, D_k zero where an adapter lacks the module."""

    def merged(parts: Sequence[Dense], weights: Sequence[float]) -> Dense:
        size = len(moments[0])
        total = sum(moments) + ridge * np.trace(sum(moments)) / size * np.eye(size)
        products = [
            {module: delta @ C for module, delta in part.items()}
            for part, C in zip(parts, moments, strict=True)
        ]
        return {m: np.linalg.solve(total, x.T).T for m, x in weighted(products, weights).items()}

    return merged


def ssr(moments: Matrices, ridge: float) -> Oracle:
    """The same among deltas that read what the adapters of a module read, of those alone."""

    def merged(parts: Sequence[Dense], weights: Sequence[float]) -> Dense:
        found = weighted(parts, [0.0] * len(parts))
        for module in found:
            there = [
                (w * part[module], C)
                for part, w, C in zip(parts, weights, moments, strict=True)
                if module in part and part[module].any()
            ]
            if not there:
                continue
            V = svd(np.concatenate([x for x, _ in there]))[2].T
            inside = V.T @ sum(C for _, C in there) @ V
            inside += ridge * np.trace(inside) / len(inside) * np.eye(len(inside))
            found[module] = sum(x @ C for x, C in there) @ V @ np.linalg.inv(inside) @ V.T
        return found

    return merged


def by_direction(scales: Matrices) -> Oracle:
    """Each delta's singular triples, the largest first, times a weight each."""

    def merged(parts: Sequence[Dense], weights: Sequence[float]) -> Dense:
        scaled = []
        for part, scale in zip(parts, scales, strict=True):
            triples = {m: svd(x) for m, x in part.items() if x.any()}
            found = {m: u @ np.diag(s * scale[: len(s)]) @ vt for m, (u, s, vt) in triples.items()}
            scaled.append({**{m: 0.0 * x for m, x in part.items()}, **found})
        return weighted(scaled, weights)

    return merged


def regmean_by_direction(moments: Matrices, ridge: float, scales: Matrices) -> Oracle:
    """RegMean's part of each adapter, and the singular triples of these times a weight each."""

    def merged(parts: Sequence[Dense], weights: Sequence[float]) -> Dense:
        solve, alone = regmean(moments, ridge), np.eye(len(parts)) * np.asarray(weights)
        split = [
            {module: solve(parts, one)[module] for module in part}
            for part, one in zip(parts, alone.tolist(), strict=True)
        ]
        return by_direction(scales)(split, [1.0] * len(parts))

    return merged
