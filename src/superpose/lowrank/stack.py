"""The exact sum: factors side by side, so that one product gives the whole delta."""

from __future__ import annotations

from superpose.lowrank.terms import Array, Term, Terms, namespace, upcast


def stack(terms: Terms, dtype: str = "float32") -> Term:
    """Give one term with the same delta: A = [A_1; ...], B = [c_1 B_1, ...], coefficient 1.

    terms: K terms of one shape. dtype: the least precision of the result, "float32" or "float64".
    Returns B (out_features, R) and A (R, in_features) with R the sum of the ranks. Nothing is lost
    but the rounding of c_k B_k in the result's precision: cross terms B_1 A_2 cannot arise.
    """
    xp = namespace(terms)
    scaled = [term.coefficient * upcast(term.B, dtype) for term in terms]
    return Term(1.0, xp.concat(scaled, axis=1), stacked_inputs(terms, dtype))


def stacked_outputs(terms: Terms, dtype: str = "float32") -> Array:
    """Give [B_1, ..., B_K] without the coefficients: (out_features, R)."""
    return namespace(terms).concat([upcast(term.B, dtype) for term in terms], axis=1)


def stacked_inputs(terms: Terms, dtype: str = "float32") -> Array:
    """Give [A_1; ...; A_K]: (R, in_features)."""
    return namespace(terms).concat([upcast(term.A, dtype) for term in terms], axis=0)
