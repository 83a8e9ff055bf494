"""Pairs of adapters whose relation is known, one maker for each reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from superpose.adapter import Adapter, Delta, Part, Replacement, Stored
from superpose.lowrank import Term, norm

Two = tuple[Adapter, Adapter]


@dataclass(frozen=True)
class Size:
    """So many modules, (width, narrow) each, of one rank; everything random comes from `seed`."""

    modules: int = 12
    width: int = 120
    narrow: int = 90
    rank: int = 4
    seed: int = 0


SIZES = st.builds(
    Size, st.integers(8, 24), st.integers(80, 160), st.integers(80, 160), st.integers(1, 6),
    st.integers(0, 9999),
)  # fmt: skip
"""Sizes at which a cosine of 0.1 in every module is far from chance."""


def random(size: Size, number: int, name: str = "", prefix: str = "m") -> Adapter:
    """An adapter of its own: another `number` has nothing to do with it."""
    rng = np.random.default_rng([size.seed, number])
    deltas = {}
    for m in range(size.modules):
        B = rng.standard_normal((size.width, size.rank)).astype(np.float32)
        A = rng.standard_normal((size.rank, size.narrow)).astype(np.float32)
        deltas[f"{prefix}{m}"] = Delta.of(B, A, 0.5)
    return Adapter(deltas, name or "ab"[number % 2])


def unrelated(size: Size) -> Two:
    return random(size, 0), random(size, 1)


def planted(size: Size, cosines: Mapping[int, float]) -> Two:
    """Both get one direction of rank 1, of their own in each module, at which they meet.

    cosines: by module's number; signed, and about what the module's cosine becomes.
    """
    a, b = unrelated(size)
    rng = np.random.default_rng([size.seed, 7])
    both: list[dict[str, Delta]] = [dict(a.deltas), dict(b.deltas)]
    for m, cosine in cosines.items():
        B, A = rng.standard_normal((size.width, 1)), rng.standard_normal((1, size.narrow))
        share = abs(cosine) / (1.0 - abs(cosine))
        for held, sign in zip(both, (1.0, np.sign(cosine)), strict=True):
            own = held[f"m{m}"].terms
            strength = np.sqrt(share) * norm(own) / (np.linalg.norm(B) * np.linalg.norm(A))
            # A small A: what both share is what they learned, and no start.
            term = Term(1.0, np.float32(sign * B), np.float32(strength * A))
            held[f"m{m}"] = Delta((*own, term))
    return Adapter(both[0], "a"), Adapter(both[1], "b")


def common(size: Size, cosine: float = 0.1) -> Two:
    """One small direction in every module."""
    return planted(size, dict.fromkeys(range(size.modules), cosine))


def faint(size: Size) -> Two:
    """So little that it takes many wide modules to see it."""
    return common(replace(size, modules=60, width=300, narrow=300), 0.003)


def one_module(size: Size) -> Two:
    """All that they have in common lies in one module."""
    return planted(size, {size.modules // 2: 0.9})


def mixed(size: Size) -> Two:
    """They agree in every other module and oppose in the rest."""
    return planted(size, {m: 0.4 * (-1) ** m for m in range(size.modules - size.modules % 2)})


def rounded(size: Size) -> Two:
    """One adapter, and it again from bfloat16."""
    import ml_dtypes

    a = random(size, 0)
    narrow = {
        name: Delta.of(*(x.astype(ml_dtypes.bfloat16) for x in d.terms[0][1:]), 0.5)
        for name, d in a.items()
    }
    return a, Adapter(narrow, "b")


def scaled(size: Size) -> Two:
    a = random(size, 0)
    return a, Adapter((2.0 * a).deltas, "b")


def negated(size: Size) -> Two:
    a = random(size, 0)
    return a, Adapter((-1.0 * a).deltas, "b")


def moved(size: Size, share: float) -> Two:
    """Training went on: B moved by so many times its own length, A by a tenth of its."""
    a = random(size, 0)
    rng = np.random.default_rng([size.seed, 8])
    later = {}
    for name, delta in a.items():
        c, B, A = delta.terms[0]
        near = np.float32(share) * rng.standard_normal(B.shape).astype(np.float32)
        later[name] = Delta.of(
            B + near, A + 0.1 * rng.standard_normal(A.shape).astype(np.float32), c
        )
    return a, Adapter(later, "b")


def nearly(size: Size) -> Two:
    return moved(size, 0.1)


def continued(size: Size) -> Two:
    return moved(size, 0.9)


def part_of_a_sum(size: Size) -> Two:
    a = random(size, 0)
    return a, Adapter((a + random(size, 1)).deltas, "b")


def cancelling(size: Size) -> Two:
    a = random(size, 0)
    return a, Adapter((0.9 * moved(size, 0.5)[1] * -1.0).deltas, "b")


def dominated(size: Size) -> Two:
    a, b = unrelated(size)
    return a, Adapter((8.0 * b).deltas, "b")


def disjoint(size: Size) -> Two:
    return random(size, 0), random(size, 1, prefix="other")


def silent_where_the_other_is_not(size: Size) -> Two:
    """They have one module in common, and the delta of one is zero in it."""
    a, b = random(size, 0), random(size, 1, prefix="other")
    zero = a["m0"].with_coefficients(lambda c: 0.0 * c)
    return a, Adapter({**b, "m0": zero}, "b")


def untrained(size: Size) -> Two:
    a, b = unrelated(size)
    return a, Adapter((0.0 * b).deltas, "b")


def stored_alone(size: Size) -> Two:
    head = Replacement((Part(1.0, Stored(np.ones((3, 4), np.float32))),), tensor="head.weight")
    return random(size, 0), Adapter({}, "b", replacements={"head": head})


def other_rows(size: Size) -> Two:
    """As one layer's query and value rows: nothing that either writes is written by the other."""
    adapters = unrelated(size)
    halves = []
    for number, adapter in enumerate(adapters):
        deltas = {}
        for name, delta in adapter.items():
            c, B, A = delta.terms[0]
            mine = (np.arange(size.width) % 2 == number)[:, None]
            deltas[name] = Delta.of(np.where(mine, B, np.float32(0.0)), A, c)
        halves.append(Adapter(deltas, adapter.name))
    return halves[0], halves[1]


def one_start(size: Size) -> Two:
    a, b = unrelated(size)
    return a, Adapter(
        {name: Delta.of(d.terms[0].B, a[name].terms[0].A, 0.5) for name, d in b.items()}, "b"
    )


def same_outputs(size: Size) -> Two:
    a, b = unrelated(size)
    return a, Adapter(
        {name: Delta.of(a[name].terms[0].B, d.terms[0].A, 0.5) for name, d in b.items()}, "b"
    )


READ_AS: dict[str, Callable[[Size], Two]] = {
    "no deltas": stored_alone,
    "adds nothing": untrained,
    "no shared modules": disjoint,
    "the same adapter": rounded,
    "a scaled copy": scaled,
    "a negated copy": negated,
    "nearly the same adapter": nearly,
    "one within the other": part_of_a_sum,
    "cancelling": cancelling,
    "continued training": continued,
    "one drowns the other": dominated,
    "uneven": one_module,
    "a large common direction": lambda size: common(size, 0.35),
    "a large opposing direction": lambda size: common(size, -0.35),
    "mixed signs": mixed,
    "a small common direction": common,
    "a small opposing direction": lambda size: common(size, -0.1),
    "shared A": one_start,
    "crowded outputs": same_outputs,
    "orthogonal": other_rows,
    "a faint relation": faint,
    "unrelated": unrelated,
}
"""A maker for every verdict but that of a pair whose cosine is none for no known reason."""
