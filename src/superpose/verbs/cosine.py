"""The cosine of two adapters."""

from __future__ import annotations

from superpose.verbs.adapters import AdapterName, loaded

__all__ = ["cosine"]


def cosine(a: AdapterName, b: AdapterName) -> float:
    """Give the whole-adapter cosine of two adapters, names or loaded ones: `a.cosine(b)`.

    NaN when one of them is zero. Raises DifferentBase, and as `superpose.load`.

    >>> superpose.cosine("math", "medicine")  # doctest: +SKIP
    """
    x, y = loaded([a, b], beside=False)
    return x.cosine(y)
