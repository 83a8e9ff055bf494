"""What is in an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from superpose.arguments import typed
from superpose.verbs.adapters import AdapterName, loaded

if TYPE_CHECKING:
    from superpose.adapter.summary import AdapterSummary

__all__ = ["info"]


@typed
def info(adapter: AdapterName, *, ignore_keys: Sequence[str] = ()) -> AdapterSummary:
    """Say what is in an adapter: base model, target modules, ranks, scalings, norms, parents.

    adapter: a name, or a loaded one. Raises as `superpose.load` does.
    """
    from superpose.adapter.summary import summarise

    return summarise(*loaded([adapter], ignore_keys=ignore_keys))
