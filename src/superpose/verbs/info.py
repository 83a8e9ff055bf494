"""What is in an adapter, or in each of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, overload

from superpose.arguments import typed
from superpose.shown import Framed, Line, Part, Shown
from superpose.verbs.adapters import AdapterName, loaded

if TYPE_CHECKING:
    from superpose.adapter.summary import AdapterSummary

__all__ = ["Summaries", "info"]


@dataclass(frozen=True)
class Summaries(Framed, Shown):
    """What is in each of several adapters, in the order in which they were given."""

    TABLE: ClassVar[str] = "adapters"

    adapters: tuple[AdapterSummary, ...]

    def to_json(self) -> dict[str, Any]:
        """Give what `info --json` prints of several: `adapters`, each as one alone is given."""
        return {"adapters": [one.to_json() for one in self.adapters]}

    def shown(self) -> tuple[Part, ...]:
        """Give what each shows, with a line between them."""
        parts: list[Part] = []
        for one in self.adapters:
            parts += [*([Line("")] if parts else []), *one.shown()]
        return tuple(parts)


@overload
def info(adapter: AdapterName, *, ignore_keys: Sequence[str] = ()) -> AdapterSummary: ...


@overload
def info(
    adapter: AdapterName, *more: AdapterName, ignore_keys: Sequence[str] = ()
) -> AdapterSummary | Summaries: ...


@typed
def info(
    adapter: AdapterName, *more: AdapterName, ignore_keys: Sequence[str] = ()
) -> AdapterSummary | Summaries:
    """Say what is in an adapter: base model, target modules, ranks, scalings, norms, parents.

    adapter: a name, or a loaded one. more: others; of several what is in each. Raises as
    `superpose.load` does.
    """
    from superpose.adapter.summary import summarise

    found = tuple(summarise(each) for each in loaded((adapter, *more), ignore_keys=ignore_keys))
    return Summaries(found) if more else found[0]
