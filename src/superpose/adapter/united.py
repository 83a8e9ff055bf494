"""The sum of two adapters that were brought together: no name is judged anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from superpose.adapter.agreed import agreed, agreed_settings
from superpose.adapter.made import made_by_sum
from superpose.adapter.parents import joined_parents, sum_name
from superpose.files.file_format import PEFT

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter


def united(x: Adapter, y: Adapter, of: tuple[Adapter, Adapter]) -> Adapter:
    """Give x + y: terms are joined, and what one has joins the union.

    x, y: as `together` gives them. of: the two that they were before, which the sum is said to be
    of.
    """
    a, b = of
    parents = joined_parents((*a.as_parents(), *b.as_parents()))
    return replace(
        x,
        deltas=_joined(x.deltas, y.deltas),
        replacements=_joined(x.replacements, y.replacements),
        name=sum_name(parents),
        base_model=a.base_model if a.base_model is not None else b.base_model,
        path=None,
        parents=parents,
        made=made_by_sum(of, parents),
        settings=agreed_settings(x, of),
        copies={**y.copies, **x.copies},
        format=x.format if x.format == y.format else PEFT.name,
        metadata=agreed(a.metadata, b.metadata),
        beside=tuple(dict.fromkeys((*a.beside, *b.beside))),
        identity=object(),
    )


def _joined(x: Mapping[str, Any], y: Mapping[str, Any]) -> dict[str, Any]:
    """Add what both have; what one has joins the union."""
    return {**x, **{key: x[key] + value if key in x else value for key, value in y.items()}}
