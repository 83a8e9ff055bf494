"""What PEFT's `combination_type` asks for, as a method of superpose's and a rank."""

from __future__ import annotations

from collections.abc import Mapping

from superpose.compose import METHODS, BestRank, Dare, DareTies, Method, Sum, Ties
from superpose.errors import BadSetting, Refused

__all__ = ["asked"]

_SUMS = ("cat", "svd")
_FACTORS = {
    "linear": "adds the factors, and not the deltas: B1*A2 is in it, which no adapter has",
    "ties": "trims the factors, and not the deltas",
    "dare_linear": "drops entries of the factors, and not of the deltas",
    "dare_ties": "drops entries of the factors, and not of the deltas",
    "magnitude_prune": "prunes the factors, and not the deltas",
}
_ON_DELTAS: Mapping[str, type[Method]] = {
    "ties_svd": Ties,
    "dare_linear_svd": Dare,
    "dare_ties_svd": DareTies,
}
_PRUNED = "magnitude_prune_svd"
TYPES = (*_SUMS, *_FACTORS, *_ON_DELTAS, _PRUNED)
"""All combination types of peft 0.21.2."""

_WAY_OUT = {
    "linear": "combination_type='cat' is the exact sum; 'svd' its best approximation of svd_rank.",
    "ties": "combination_type='ties_svd' does it on the deltas.",
    "dare_linear": "combination_type='dare_linear_svd' does it on the deltas.",
    "dare_ties": "combination_type='dare_ties_svd' does it on the deltas.",
}
_OTHER = "method=superpose.compose.Ties(density=...) trims deltas; without a type it is the sum."


def asked(
    combination_type: str | None,
    method: Method | str | None,
    *,
    rank: int | None,
    svd_rank: int | None,
    svd_clamp: float | None,
    density: float | None,
    majority_sign_method: str,
    ranks: list[int],
) -> tuple[Method, int | None]:
    """Give the method, and the rank that its result is cut to, None for all of it.

    ranks: of the adapters; the largest is PEFT's default for the types with `svd`.

    Raises BadSetting for what is no type, two answers to one question or a density that is missing;
    Refused, with the way out, for a type that is not what its name says of the deltas.
    """
    if rank is not None and svd_rank is not None and rank != svd_rank:
        raise BadSetting(f"rank is {rank} and svd_rank {svd_rank}: two answers", where="svd_rank")
    rank = svd_rank if rank is None else rank
    _check_clamp(svd_clamp)
    if method is not None:
        if combination_type is not None:
            raise BadSetting("combination_type and method are two answers", where="method")
        return _cut(_method(method), rank)
    if combination_type is None:
        return Sum(), rank
    if combination_type not in TYPES:
        raise BadSetting(
            f"{combination_type!r} is no combination type; there are {', '.join(TYPES)}",
            where="combination_type",
        )
    if len(ranks) == 1:  # as in PEFT: there is nothing that could be combined
        return Sum(), rank if combination_type in _SUMS else None
    if combination_type == "cat":
        return Sum(), rank
    _check_on_deltas(combination_type)
    rank = max(ranks) if rank is None else rank
    if combination_type == "svd":
        return Sum(), rank
    return _dense(combination_type, density, majority_sign_method), rank


def _dense(combination_type: str, density: float | None, majority_sign_method: str) -> Method:
    if density is None:
        raise BadSetting(f"{combination_type} needs the share of entries kept", where="density")
    if majority_sign_method != "total" and combination_type != "dare_linear_svd":
        raise Refused(
            f"majority_sign_method={majority_sign_method!r} counts signs; here they are elected by "
            "the sum, as in the paper (arXiv 2306.01708)",
            where="majority_sign_method",
            hint="Leave it out, or give 'total'.",
        )
    return _ON_DELTAS[combination_type](density=density)  # type: ignore[call-arg]


def _check_on_deltas(combination_type: str) -> None:
    if combination_type in _ON_DELTAS or combination_type in _SUMS:
        return
    why = _FACTORS.get(combination_type, "prunes deltas and adds them, which is no method here")
    raise Refused(
        f"combination_type={combination_type!r} {why}",
        where="combination_type",
        hint=_WAY_OUT.get(combination_type, _OTHER),
    )


def _check_clamp(svd_clamp: float | None) -> None:
    if svd_clamp is not None:
        raise Refused(
            "cuts off the largest entries of the factors, after which they are nobody's sum",
            where="svd_clamp",
            hint="Leave it out.",
        )


def _cut(method: Method, rank: int | None) -> tuple[Method, int | None]:
    """Give a method and a rank; the best approximation is the sum with one."""
    if not isinstance(method, BestRank):
        return method, rank
    if rank not in (None, method.rank):
        raise BadSetting(f"rank is {rank} and the method's {method.rank}", where="rank")
    return Sum(), method.rank


def _method(method: Method | str) -> Method:
    if isinstance(method, Method):
        return method
    if method not in METHODS:
        raise BadSetting(f"{method!r} is no method; there are {', '.join(METHODS)}", where="method")
    try:
        return METHODS[method]()
    except TypeError as error:  # a setting without a default
        raise BadSetting(
            f"{method!r} needs settings ({error})",
            where="method",
            hint=f"Give the method itself: superpose.compose.{METHODS[method].__name__}(...).",
        ) from None
