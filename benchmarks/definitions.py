"""The definitions of the merge methods, in dense float64 NumPy, written from the papers.

What tests/compose holds every method against, and what `factor_space` takes the time of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

Dense = dict[str, np.ndarray]
Oracle = Callable[[Sequence[Dense], Sequence[float]], Dense]
Matrices = list[np.ndarray]
Rule = Callable[[Matrices], np.ndarray]


def weighted(parts: Sequence[Dense], weights: Sequence[float]) -> Dense:
    """The sum, by its definition, over the union of the modules."""
    total: Dense = {}
    for part, weight in zip(parts, weights, strict=True):
        for module, delta in part.items():
            total[module] = total.get(module, 0.0) + weight * delta
    return total


def by_module(rule: Rule) -> Oracle:
    """A method whose result in a module is that of the weighted deltas there that are not zero."""

    def merged(parts: Sequence[Dense], weights: Sequence[float]) -> Dense:
        found = {}
        for module, total in weighted(parts, weights).items():
            pairs = zip(parts, weights, strict=True)
            there = [w * part[module] for part, w in pairs if module in part]
            there = [each for each in there if each.any()]
            found[module] = rule(there) if there else 0.0 * total
        return found

    return merged


def truncated(parts: Sequence[Dense], weights: Sequence[float], rank: int) -> Dense:
    """The sum's leading singular triples (Eckart and Young 1936), by NumPy."""
    return cut(weighted(parts, weights), rank)


def cut(deltas: Dense, rank: int) -> Dense:
    """Each matrix's leading singular triples."""
    found = {}
    for module, delta in deltas.items():
        U, s, Vt = np.linalg.svd(delta, full_matrices=False)
        found[module] = (U[:, :rank] * s[:rank]) @ Vt[:rank]
    return found


def average(parts: Sequence[Dense], weights: Sequence[float]) -> Dense:
    """The weighted mean; a module that is not there counts as zero."""
    return weighted(parts, [w / sum(weights) for w in weights])


def equal_norm(there: Matrices) -> np.ndarray:
    """The sum, at the mean norm of what is added."""
    total = sum(there)
    return total * np.mean([np.linalg.norm(x) for x in there]) / np.linalg.norm(total)


def elected(kept: Matrices) -> np.ndarray:
    """Of each entry the mean over those of the sign that the sum has."""
    stacked = np.stack(kept)
    agrees = np.sign(stacked) == np.sign(stacked.sum(axis=0))
    agrees &= stacked != 0.0
    return np.where(agrees, stacked, 0.0).sum(axis=0) / np.maximum(agrees.sum(axis=0), 1)


def ties(density: float) -> Rule:
    """Trim, elect, average."""

    def trimmed(x: np.ndarray) -> np.ndarray:
        order = np.argsort(-np.abs(x), axis=None)[: round(density * x.size)]
        found = np.zeros(x.size)
        found[order] = x.reshape(-1)[order]
        return found.reshape(x.shape)

    return lambda there: elected([trimmed(x) for x in there])


def elected_of_draws(probability: Callable[[np.ndarray], np.ndarray]) -> Rule:
    """The expectation of `elected` over all draws, of which each entry has 2^K."""

    def expected(there: Matrices) -> np.ndarray:
        shares = [probability(x) for x in there]
        found = np.zeros(there[0].shape)
        for drawn in product((False, True), repeat=len(there)):
            chance = np.ones(found.shape)
            for p, keep in zip(shares, drawn, strict=True):
                chance *= p if keep else 1.0 - p
            kept = [keep * x / p for x, p, keep in zip(there, shares, drawn, strict=True)]
            found += chance * elected(kept)
        return found

    return expected


def della_probability(density: float, epsilon: float) -> Callable[[np.ndarray], np.ndarray]:
    """In each row linear in the place that an entry has by magnitude."""

    def of(x: np.ndarray) -> np.ndarray:
        found = np.empty(x.shape)
        for row, values in enumerate(np.abs(x)):
            for column, value in enumerate(values):
                share = np.sum(values < value) / (len(values) - 1)
                found[row, column] = density - epsilon + 2.0 * epsilon * share
        return found

    return of


def svd(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U, s, V^T of what is not zero."""
    U, s, Vt = np.linalg.svd(x, full_matrices=False)
    few = int(np.sum(s > 1e-9 * s[0]))
    return U[:, :few], s[:few], Vt[:few]


def side_by_side(matrices: Sequence[np.ndarray]) -> np.ndarray:
    """[X_1 .. X_K]."""
    return np.concatenate(matrices, axis=1)


def polar(x: np.ndarray) -> np.ndarray:
    """(X X^T)^(-1/2) X, the inverse where there is one."""
    values, vectors = np.linalg.eigh(x @ x.T)
    there = values > 1e-9 * values[-1]
    root = (vectors[:, there] / np.sqrt(values[there])) @ vectors[:, there].T
    return root @ x


def knots(rule: Rule) -> Rule:
    """The rule on the right singular vectors, a block an adapter, of the deltas side by side."""

    def merged(there: Matrices) -> np.ndarray:
        U, s, Vt = svd(side_by_side(there))
        return (U * s) @ rule(np.split(Vt, len(there), axis=1))

    return merged


def tsv(there: Matrices) -> np.ndarray:
    """A K-th of each one's singular triples, the vectors made orthogonal."""
    triples = [svd(x) for x in there]
    few = [max(1, len(s) // len(there)) for _, s, _ in triples]
    U = polar(side_by_side([u[:, :n] for n, (u, _, _) in zip(few, triples, strict=True)]))
    V = polar(side_by_side([vt[:n].T for n, (_, _, vt) in zip(few, triples, strict=True)]))
    s = np.concatenate([s[:n] for n, (_, s, _) in zip(few, triples, strict=True)])
    return U @ np.diag(s) @ V.T


def iso(there: Matrices) -> np.ndarray:
    """All singular values of the sum their mean."""
    U, s, Vt = svd(sum(there))
    return s.mean() * U @ Vt


def iso_cts(common: float) -> Rule:
    """The sum's leading directions, and of each adapter the leading ones beside them."""

    def merged(there: Matrices) -> np.ndarray:
        U, s, Vt = svd(sum(there))
        each = max(1, int((1 - common) * len(s) / len(there) + 1e-9))
        k = max(0, len(s) - len(there) * each)
        left = U[:, :k]
        lefts, rights, values = [left], [Vt[:k].T], [s[:k]]
        for x in there:
            rest = x - left @ left.T @ x
            if np.linalg.norm(rest) > 1e-9 * np.linalg.norm(x):
                u, sizes, vt = svd(rest)
                lefts.append(u[:, :each])
                values.append(sizes[:each])
                rights.append(vt[:each].T)
        mean = np.concatenate(values).mean()
        return mean * polar(side_by_side(lefts)) @ polar(side_by_side(rights)).T

    return merged


def core(rule: Rule) -> Rule:
    """The rule between the eigenvectors of sum (D D^T)^(1/2) and those of sum (D^T D)^(1/2)."""

    def basis(matrices: Matrices) -> np.ndarray:
        roots = [u @ np.diag(s) @ u.T for u, s, _ in map(svd, matrices)]
        return svd(sum(roots))[0]

    def merged(there: Matrices) -> np.ndarray:
        U, V = basis(there), basis([x.T for x in there])
        return U @ rule([U.T @ x @ V for x in there]) @ V.T

    return merged


def ctm(rule: Rule, beta: float, rank: int | None = None) -> Rule:
    """The rule in the subspaces of the truncated Tucker decomposition, both sides alike."""

    def leading(matrices: Matrices, r: int) -> np.ndarray:
        return svd(side_by_side(matrices))[0][:, :r]

    def merged(there: Matrices) -> np.ndarray:
        lengths = np.array([np.linalg.norm(x) for x in there])
        sizes = beta * lengths + (1 - beta) * lengths.mean()
        scaled = [x * size / n for x, size, n in zip(there, sizes, lengths, strict=True)]
        r = rank or max(np.linalg.matrix_rank(x) for x in there)
        U, V = leading(scaled, r), leading([x.T for x in scaled], r)
        for _ in range(30):
            U = leading([x @ V for x in scaled], r)
            V = leading([x.T @ U for x in scaled], r)
        return U @ rule([U.T @ x @ V for x in there]) @ V.T

    return merged


def pico(there: Matrices) -> np.ndarray:
    """Outputs turned down by their share of all energy, and the mean norm."""
    values, U = np.linalg.eigh(sum(x @ x.T for x in there))
    a = 1.0 / (1.0 + (len(there) - 1) * values / values.sum())
    total = sum(x + U @ np.diag(a - 1.0) @ U.T @ x for x in there)
    return total * np.mean([np.linalg.norm(x) for x in there]) / np.linalg.norm(total)


def wudi(ridge: float | None) -> Rule:
    """The least squares solution, from its normal equations."""

    def overlap(x: np.ndarray, y: np.ndarray) -> float:
        (_, _, v), (_, _, w) = svd(x), svd(y)
        return float(np.sum((v @ w.T) ** 2) / min(len(v), len(w)))

    def merged(there: Matrices) -> np.ndarray:
        G = [x.T @ x / np.sum(x * x) for x in there]
        H, N = sum(G), sum(x @ g for x, g in zip(there, G, strict=True))
        chosen = ridge
        if ridge is None:
            pairs = [(x, y) for i, x in enumerate(there) for y in there[:i]]
            chosen = 0.01 if any(overlap(x, y) >= 0.5 for x, y in pairs) else 0.0
        _, values, Vt = svd(H)
        return N @ Vt.T @ np.diag(1.0 / (values + chosen * values.mean())) @ Vt

    return merged


def svc(rule: Rule, alpha: float) -> Rule:
    """Each singular value by what the adapters have of its direction."""

    def merged(there: Matrices) -> np.ndarray:
        total = rule(there)
        found = np.zeros(total.shape)
        U, s, Vt = svd(total)
        for r in range(len(s)):
            u, counts = U[:, r], 0.0
            for x in there:
                mine = u @ x
                counts += max(alpha, (u @ total) @ mine / (mine @ mine))
            found += s[r] * len(there) / counts * np.outer(u, Vt[r])
        return found

    return merged


def star(x: np.ndarray, eta: float) -> np.ndarray:
    """The fewest leading triples with that share of the nuclear norm, scaled to all of it."""
    U, s, Vt = svd(x)
    few = next(n for n in range(1, len(s) + 1) if s[:n].sum() >= (eta - 1e-12) * s.sum())
    return U[:, :few] @ np.diag(s[:few] * s.sum() / s[:few].sum()) @ Vt[:few]


def orthogonal(strength: float) -> Rule:
    """Each without the share of its rows that lies in the rows of those before it."""

    def merged(there: Matrices) -> np.ndarray:
        total = there[0].copy()
        for k, x in enumerate(there[1:], 1):
            before = np.concatenate(there[:k])
            total += x - strength * x @ np.linalg.pinv(before, rcond=1e-9) @ before
        return total

    return merged
