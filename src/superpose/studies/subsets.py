"""Which subsets of its domains a study file asks for: read, and refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import PlainSerializer, PlainValidator

__all__ = ["Subsets", "check_subsets"]

_FORMS = "`all`, `pairs`, or a list of sizes and of lists of domains: [2, [math, finance, law]]"


def _read(given: Any) -> str | tuple[int | tuple[str, ...], ...]:
    """Give what stands in a file, lists as tuples. Raises ValueError for what is none of this."""
    if given in ("all", "pairs"):
        return str(given)
    if not isinstance(given, list | tuple) or not given:
        raise ValueError(f"{given!r} is none of: {_FORMS}")
    found: list[int | tuple[str, ...]] = []
    for each in given:
        if isinstance(each, int) and not isinstance(each, bool):
            found.append(each)
        elif isinstance(each, list | tuple) and each and all(isinstance(n, str) for n in each):
            found.append(tuple(each))
        else:
            raise ValueError(f"{each!r} is neither a size nor a list of domains: {_FORMS}")
    return tuple(found)


Subsets: TypeAlias = Annotated[
    str | tuple[int | tuple[str, ...], ...],
    PlainValidator(_read),
    PlainSerializer(lambda found: found, return_type=Any),
]


def check_subsets(wanted: str | Sequence[int | Sequence[str]], domains: Sequence[str]) -> None:
    """Raise ValueError for a size or a domain that the study lacks, or one that stands twice."""
    for each in () if isinstance(wanted, str) else wanted:
        if isinstance(each, int):
            if not 2 <= each <= len(domains):
                raise ValueError(f"subsets: no {each} of {len(domains)} domains make a sum")
            continue
        if unknown := [name for name in each if name not in domains]:
            raise ValueError(
                f"subsets: `{unknown[0]}` is no domain; there are {', '.join(domains)}"
            )
        if len(set(each)) < max(len(each), 2):
            raise ValueError(f"subsets: {' + '.join(each)} is no sum of several domains")
