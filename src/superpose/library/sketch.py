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
from superpose.library.blocks import is_plain
from superpose.lowrank import Term, formed, nonzero
from superpose.lowrank.to_numpy import to_numpy

Array: TypeAlias = Any

SKETCHED = 1024
"""Numbers of a sketch: the standard error of a cosine is about 1/32."""

_STARTS = 256
"""Numbers of the sketch of the A factors."""

_CANCELLED, _HELD = 100.0, 1e-30
"""Times the norm up to which the sizes of the factors leave five digits in float32, and the squares
that are inside it, as their inverses are."""


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
        held, and those of several terms below each other. In float32, and in float64 where terms
        or columns may cancel, or leave what float32 holds.
        """
        found = None
        if norm > 0.0 and all(is_plain(delta.terms) for delta in adapter.values()):
            with np.errstate(all="ignore"):
                found = self._summed(adapter, norm, "float32")
        if found is None or not _is_trusted(*found[:4]):
            found = self._summed(adapter, norm, "float64")
        total, starts, square, _, power = found
        length = math.sqrt(square)
        unit = starts / length if length > 0.0 else starts
        with np.errstate(over="ignore"):  # what no float64 holds is told as infinite
            told = float(np.ldexp(length, power))
        return np.fft.irfft(total, self.size).astype(np.float32), unit.astype(np.float32), told

    def _summed(
        self, adapter: Adapter, norm: float, dtype: str
    ) -> tuple[Array, Array, float, float, int]:
        """Give spectrum, starts, |A|^2, the size of what is summed over the norm, and a power.

        What is rounded is a share of that size, which is about 1 or more. Starts and |A| are those
        of A / 2^power: in float64 factors of any size are brought to usual ones, exactly.
        """
        total, starts = np.zeros(self.size // 2 + 1, np.complex128), np.zeros(_STARTS)
        square = size = 0.0
        tame = dtype == "float64"
        terms = (term for delta in adapter.values() for term in formed(nonzero(delta.terms)))
        power = max((_power(term.A) for term in terms), default=0) if tame else 0
        for key, delta in adapter.items() if norm > 0.0 else ():
            row = 0
            for term in formed(nonzero(delta.terms)):
                B, A = _rows(term.B, dtype), _rows(term.A, dtype)
                factor, less = term.coefficient / norm, 0
                if tame:
                    B, A, factor, less = _tamed(term, B, A, norm, power)
                b, a = self._counted(B.T, key, 0), self._counted(A, key, 1)
                spectrum = np.fft.rfft(b)
                spectrum *= np.fft.rfft(a)
                total += factor * spectrum.sum(axis=0)
                folded = a.reshape(len(a), -1, _STARTS).sum(axis=1)
                starts += self._signs(key, row, row + len(a)) @ np.ldexp(folded, less)
                own = float(np.vdot(A, A))
                size += own * float(np.vdot(B, B)) * factor**2
                square += math.ldexp(own, 2 * less)
                row += len(a)
        return total, starts, square, math.sqrt(size), power

    def _counted(self, X: Array, key: str, side: int) -> Array:
        """Give the count sketch of each row of X (r, d): (r, size)."""
        order, signs = self._drawn(key, side, X.shape[1])
        if X.flags.c_contiguous:
            found = np.take(X, order, axis=1).reshape(len(X), *signs.shape)
            found *= signs
            return found[:, 0] if len(signs) == 1 else found.sum(axis=1)
        rows = np.take(X.T, order, axis=0).reshape(*signs.shape, len(X))  # as it lies in memory
        return np.einsum("fsr,fs->rs", rows, signs.astype(X.dtype, copy=False))

    def _drawn(self, key: str, side: int, rows: int) -> tuple[Array, Array]:
        """Give which row comes to each place, as many as a multiple of size, and its sign.

        order (f size,). signs (f, size): 0 where a place stays empty.
        """
        name = (key, side, rows)
        if name not in self._known:
            rng = self._rng(key, side)
            drawn = 2 * rng.integers(0, 2, rows, np.int8) - 1
            places = rng.permutation(-(-rows // self.size) * self.size)
            order, signs = np.zeros(len(places), np.intp), np.zeros(len(places), np.float32)
            order[places[:rows]], signs[places[:rows]] = np.arange(rows), drawn
            self._known[name] = order, signs.reshape(-1, self.size)
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
    """Give a factor as a NumPy array of this dtype."""
    return np.asarray(X if isinstance(X, np.ndarray) else to_numpy(X), dtype)


def _power(X: Array) -> int:
    """Give the power of two just above the largest entry."""
    return math.frexp(float(np.max(np.abs(_rows(X, "float64")), initial=0.0)))[1]


def _tamed(
    term: Term, B: Array, A: Array, norm: float, power: int
) -> tuple[Array, Array, float, int]:
    """Give factors of usual size, coefficient / norm for them, and A's power less the given one."""
    b, a = _power(B), _power(A)
    (own, c), (whole, n) = math.frexp(term.coefficient), math.frexp(norm)
    factor = float(np.ldexp(own / whole, c - n + b + a))
    return np.ldexp(B, -b), np.ldexp(A, -a), factor, a - power


def _is_trusted(total: Array, starts: Array, square: float, size: float) -> bool:
    """Say whether float32 knows a sketch to five digits."""
    held = _HELD < square < 1.0 / _HELD and size <= _CANCELLED
    return held and bool(np.isfinite(total).all() and np.isfinite(starts).all())


def standard_error(first: Array, second: Array) -> float:
    """Give the standard error of a cosine that two sketches of unit adapters give.

    Of S products z_k y_k whose sum is the estimate: the deviation of a sum of S draws. Places that
    two coordinates share make the draws dependent by 1/S, which is left out.
    """
    products = np.asarray(first, float) * np.asarray(second, float)
    return float(products.std(ddof=1) * math.sqrt(len(products)))
