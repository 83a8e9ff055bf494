"""A few hundred numbers for an adapter, whose inner products are those of the adapters on average.

Each target module's dW = sum_r b_r a_r^T is hashed to S numbers as TensorSketch does (Pham and
Pagh, KDD 2013): b and a are count sketches (a random place and sign for every coordinate), and the
sketch of their outer product is the circular convolution of the two, which is a product after a
Fourier transform. It is linear in dW, whatever the split, and signs make its inner products
unbiased: E <z_i, z_j> = <dW_i, dW_j>. Modules have places and signs of their own and are summed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from superpose.adapter import Adapter
from superpose.lowrank import formed, nonzero, upcast
from superpose.lowrank.to_numpy import to_numpy

Array: TypeAlias = Any

SKETCHED = 1024
"""Numbers of a sketch: the standard error of a cosine is about 1/32."""

_STARTS = 256
"""Numbers of the sketch of the A factors."""


@dataclass(frozen=True)
class Sketcher:
    """Makes sketches that can be compared with each other. seed: draws places and signs.

    size: numbers of a sketch. The same seed and size give the same sketch on every machine.
    """

    seed: int = 0
    size: int = SKETCHED
    _known: dict[tuple[str, int, int], tuple[Array, Array]] = field(default_factory=dict)

    def of(self, adapter: Adapter, norm: float) -> tuple[Array, Array, float]:
        """Give the sketch of an adapter over its norm, that of its A factors over theirs, and this.

        (size,) and (256,), float32; zeros where the norm is 0. The A factors are taken as they are
        held, and those of several terms below each other.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            found = self._summed(adapter, norm, "float32")
        if not np.isfinite(found[0]).all():
            found = self._summed(adapter, norm, "float64")
        total, starts, square = found
        length = math.sqrt(square)
        unit = starts / length if length > 0.0 else starts
        return np.fft.irfft(total, self.size).astype(np.float32), unit.astype(np.float32), length

    def _summed(self, adapter: Adapter, norm: float, dtype: str) -> tuple[Array, Array, float]:
        total, starts = np.zeros(self.size // 2 + 1, np.complex128), np.zeros(_STARTS)
        square = 0.0
        for key, delta in adapter.items() if norm > 0.0 else ():
            row = 0
            for term in formed(nonzero(delta.terms)):
                B, A = _rows(term.B, dtype), _rows(term.A.T, dtype)
                b, a = self._counted(B, key, 0), self._counted(A, key, 1)
                spectra = np.fft.rfft(b, axis=0), np.fft.rfft(a, axis=0)
                total += (term.coefficient / norm) * np.einsum("sr,sr->s", *spectra)
                folded = a.reshape(-1, _STARTS, a.shape[1]).sum(axis=0)
                starts += folded @ self._signs(key, row, row + a.shape[1])
                square += float(np.einsum("ij,ij->", A, A, dtype=np.float64))
                row += a.shape[1]
        return total, starts, square

    def _counted(self, X: Array, key: str, side: int) -> Array:
        """Give the count sketch of each column of X (d, r): (size, r)."""
        places, signs = self._drawn(key, side, X.shape[0])
        padded = np.zeros((-(-len(places) // self.size) * self.size, X.shape[1]), X.dtype)
        padded[places] = X * signs[:, None].astype(X.dtype)
        return padded.reshape(-1, self.size, X.shape[1]).sum(axis=0)

    def _drawn(self, key: str, side: int, rows: int) -> tuple[Array, Array]:
        """Give each row's place among as many as a multiple of size, and its sign."""
        name = (key, side, rows)
        if name not in self._known:
            rng = self._rng(key, side)
            signs = 2 * rng.integers(0, 2, rows, np.int8) - 1
            self._known[name] = rng.permutation(-(-rows // self.size) * self.size)[:rows], signs
        return self._known[name]

    def _signs(self, key: str, begin: int, end: int) -> Array:
        """Give the signs of some of a module's rows of A."""
        name = (key, 2, end)
        if name not in self._known:
            drawn = 2 * self._rng(key, 2).integers(0, 2, end, np.int8) - 1
            self._known[name] = drawn, drawn
        return self._known[name][0][begin:]

    def _rng(self, key: str, side: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, side, *key.encode()])


def _rows(X: Array, dtype: str) -> Array:
    return np.asarray(to_numpy(upcast(X, dtype)))


def standard_error(first: Array, second: Array) -> float:
    """Give the standard error of a cosine that two sketches of unit adapters give.

    Of S products z_k y_k whose sum is the estimate: the deviation of a sum of S draws. Places that
    two coordinates share make the draws dependent by 1/S, which is left out.
    """
    products = np.asarray(first, float) * np.asarray(second, float)
    return float(products.std(ddof=1) * math.sqrt(len(products)))
