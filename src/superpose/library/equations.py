"""The linear equations that a sum of adapters fulfils, whether it was compressed or not.

Let T be the best rank-k approximation of M = sum_i w_i dW_i in a module (Eckart and Young 1936),
and U and V its singular vectors. Then U U^T M = T = M V V^T: projected to T's own sides, the
parents add up to T exactly, though T is not their sum. The squared error of all these equations,
|U U^T (sum_i w_i dW_i - T)|^2 + |(sum_i w_i dW_i - T) V V^T|^2, is a quadratic in w whose Gram
matrix comes from factors: B_i becomes U^T B_i, or A_i becomes A_i V. Of a sum that was not
compressed U and V span all that its parents write and read, and nothing changes.

Of a model that was rounded T is the best approximation of M + E, with E of independent entries of
variance e^2: U and V lean towards E, and U U^T E V has e^2 d_out / s on its diagonal where the
singular value s of M is clear of E, E's share in V's equations e^2 d_in / s (to second order in E;
Benaych-Georges and Nadakuditi 2012). This bias of the right side is kept beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from superpose.adapter import Adapter
from superpose.adapter.made import EXTRACT
from superpose.library.blocks import balanced
from superpose.lowrank import Term
from superpose.lowrank.canonical_split import canonical, sides, sizes

Array: TypeAlias = Any


class Sides(NamedTuple):
    """One module of the target over its norm: U (out, k), s (k,), V (in, k).

    noise: variance of an entry of what rounding a whole model added.
    """

    U: Array
    s: Array
    V: Array
    noise: float = 0.0


class Projected(NamedTuple):
    """One module of a parent over its norm: B (r, out), A (r, in), and both projected, (r, k)."""

    B: Array
    A: Array
    projected_b: Array
    projected_a: Array


@dataclass
class Equations:
    """The quadratic of one target, to which parents are added one by one.

    Everything is over norms: the target's is 1, and so is that of every parent. gram (p, p), right
    (p,): of the parents so far, in the order in which they came; the target's own square is 2.
    bias (p,): of right, by the noise. count: independent numbers in the target, as many as its
    factors have.
    """

    target: dict[str, Sides]
    gram: Array = field(default_factory=lambda: np.zeros((0, 0)))
    right: Array = field(default_factory=lambda: np.zeros(0))
    bias: Array = field(default_factory=lambda: np.zeros(0))
    parents: list[dict[str, Projected]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Independent numbers in the target."""
        return sum(len(t.s) * (len(t.U) + len(t.V) - len(t.s)) for t in self.target.values())

    def add(self, parents: Iterable[tuple[Adapter, float]]) -> None:
        """Add parents, each with its norm. Modules that the target lacks have to add up to zero."""
        before = len(self.parents)
        for adapter, norm in parents:
            own = {key: self._parent(key, delta.terms, norm) for key, delta in adapter.items()}
            self.parents.append(own)
            right = bias = 0.0
            for key in (key for key in self.target if key in own):
                t = self.target[key]
                shares = np.einsum("rk,rk->k", own[key].projected_b, own[key].projected_a)
                right += 2.0 * float(shares @ t.s)
                bias += t.noise * (len(t.U) + len(t.V)) * float(shares @ (1.0 / t.s))
            self.right, self.bias = np.append(self.right, right), np.append(self.bias, bias)
        wider = np.zeros((len(self.parents), len(self.parents)))
        wider[:before, :before] = self.gram
        keys = dict.fromkeys(key for own in self.parents[before:] for key in own)
        for key in keys:
            self._fill(wider, key, before)
        self.gram = wider

    def _fill(self, gram: Array, key: str, before: int) -> None:
        """Add one module's products of the parents from `before` on with all."""
        every = [at for at, own in enumerate(self.parents) if key in own]
        new = [at for at in every if at >= before]
        x, y = (_rows_of([self.parents[at][key] for at in some]) for some in (new, every))
        outputs, inputs = x.B @ y.B.T, x.A @ y.A.T
        if key in self.target:
            both = (x.projected_b @ y.projected_b.T) * inputs
            both += outputs * (x.projected_a @ y.projected_a.T)
        else:
            both = 2.0 * outputs * inputs
        starts = [
            np.cumsum([0, *(len(self.parents[at][key].A) for at in some[:-1])])
            for some in (new, every)
        ]
        found = np.add.reduceat(np.add.reduceat(both, starts[1], axis=1), starts[0], axis=0)
        gram[np.ix_(new, every)] += found
        older = [n for n, at in enumerate(every) if at < before]
        gram[np.ix_([every[n] for n in older], new)] += found[:, older].T

    def scores(self, weights: Array, chosen: Array) -> Array:
        """Give the summed outer products of the parents' scores, (p, p): White's middle matrix.

        A score is a parent's product with what is left, of one output in V's equations or of one
        input in U's: rounding a factor's entry moves that row alone. White, Econometrica 48 (1980).
        """
        total = np.zeros((len(chosen), len(chosen)))
        for key, t in self.target.items():
            own = [self.parents[at].get(key) for at in chosen]
            for rows in (
                _scores(t.U * t.s, [p and (p.B.T, p.projected_a) for p in own], weights),
                _scores(t.V * t.s, [p and (p.A.T, p.projected_b) for p in own], weights),
            ):
                total += rows @ rows.T
        return total

    def left(self, weights: Array, chosen: Array) -> dict[str, list[Term]]:
        """Give what the equations leave, as terms by module: its products are the gradient."""
        found = {key: [Term(2.0, t.U * t.s, t.V.T)] for key, t in self.target.items() if len(t.s)}
        for weight, at in zip(weights, chosen, strict=True):
            for key, own in self.parents[at].items():
                t = self.target.get(key)
                if t is None:
                    found.setdefault(key, []).append(Term(-2.0 * weight, own.B.T, own.A))
                    continue
                found[key].append(Term(-weight, t.U @ own.projected_b.T, own.A))
                found[key].append(Term(-weight, own.B.T, own.projected_a @ t.V.T))
        return found

    def _parent(self, key: str, terms: Any, norm: float) -> Projected:
        B, A = balanced(terms, norm)
        t = self.target.get(key)
        if t is None:
            return Projected(B, A, B, A)
        return Projected(B, A, B @ t.U, A @ t.V)


def equations_of(target: Adapter, norm: float) -> Equations:
    """Give the equations of a target, whose modules go by the names of the library."""
    found = {}
    left = unkept(target)
    for key, delta in target.items():
        split = canonical(delta.terms)
        s = sizes(split)
        if s[0] > 0.0:
            live = s > s[0] * 1e-12
            kept = Term(1.0, split.B[:, live], split.A[live])
            U, V = sides(kept)
            s = s[live] / norm
            found[key] = Sides(U, s, V, _noise(s, delta.shape, left))
    return Equations(found)


def unkept(target: Adapter) -> float:
    """Give what extracting a target from a model left of its energy, over what it kept."""
    kept = target.made.energy_kept
    return (1.0 - kept) / kept if target.made.method == EXTRACT and kept else 0.0


def _noise(s: Array, shape: tuple[int, int], left: float) -> float:
    """Give the variance of an entry of the noise in what was extracted, at most.

    The least singular value is at the edge of the noise's own, (sqrt(d_out) + sqrt(d_in)) e, or of
    the parents where the rank did not hold them: then what was left bounds it. left: of all energy.
    """
    rows, columns = shape
    edge = float(s[-1]) / (math.sqrt(rows) + math.sqrt(columns))
    return min(edge**2, left / max(1, (rows - len(s)) * (columns - len(s))))


def _scores(target: Array, parents: Sequence[tuple[Array, Array] | None], weights: Array) -> Array:
    """Give each parent's scores, (p, rows). target: (rows, k). parents: (rows, r) and (r, k)."""
    formed = [np.zeros((1, 1)) if p is None else p[0] @ p[1] for p in parents]
    left = target - sum(w * x for w, x in zip(weights, formed, strict=True))
    return np.array([np.broadcast_to(np.sum(x * left, axis=1), len(target)) for x in formed])


def _rows_of(parents: Sequence[Projected]) -> Projected:
    return Projected(*(np.concatenate(factors) for factors in zip(*parents, strict=True)))
