"""The exact sum: factors side by side, so that one product gives the whole delta."""

from __future__ import annotations

from superpose.lowrank.terms import Array, Term, Terms, formed, namespace, upcast


def stack(terms: Terms, dtype: str = "float32") -> Term:
    """Give one term with the same delta: A = [A_1; ...], B = [c_1 B_1, ...], coefficient 1.

    terms: K terms of one shape. dtype: the least precision of the result, "float32" or "float64".
    Returns B (out_features, R) and A (R, in_features) with R the sum of the ranks. Nothing is lost
    but the rounding of c_k B_k in the result's precision: cross terms B_1 A_2 cannot arise.
    """
    terms = formed(terms)
    xp = namespace(terms)
    scaled = [term.coefficient * upcast(term.B, dtype) for term in terms]
    return Term(1.0, xp.concat(scaled, axis=1), stacked_inputs(terms, dtype))


def stacked_outputs(terms: Terms, dtype: str = "float32") -> Array:
    """Give [B_1, ..., B_K] without the coefficients: (out_features, R)."""
    terms = formed(terms)
    return _joined(terms, [term.B for term in terms], dtype, axis=1)


def stacked_inputs(terms: Terms, dtype: str = "float32") -> Array:
    """Give [A_1; ...; A_K]: (R, in_features)."""
    terms = formed(terms)
    return _joined(terms, [term.A for term in terms], dtype, axis=0)


def _joined(terms: tuple[Term, ...], factors: list[Array], dtype: str, axis: int) -> Array:
    xp = namespace(terms)
    if len({factor.dtype for factor in factors}) == 1:
        return upcast(xp.concat(factors, axis=axis), dtype)  # widened once, not one by one
    return xp.concat([upcast(factor, dtype) for factor in factors], axis=axis)
