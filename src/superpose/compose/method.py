"""What a merge method is: a frozen object that makes one adapter of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

from superpose.adapter import Adapter, Made
from superpose.adapter.made import Setting, made_by_sum
from superpose.compose.weighted import weighted_sum

if TYPE_CHECKING:
    from superpose.adapter.progress import Progress


@dataclass(frozen=True)
class Method:
    """A way to make one adapter of several: settings are its fields, the paper in its docstring.

    A method says what it does in one of two places: `merged`, where it makes another adapter of the
    parts than their sum, or `of`, where it does something to that sum. Neither is the sum itself.

    name: in METHODS and in the note of a written file. adds: one adapter that was given twice is
    that adapter with both task weights, as in a sum.
    """

    name: ClassVar[str]
    adds: ClassVar[bool] = True

    def merged(
        self, parts: Sequence[Adapter], weights: Sequence[float], progress: Progress | None
    ) -> Adapter:
        """Give one adapter of several, with what `made_of` says of it.

        parts: at least one, of one base model and one name for a weight, one delta for a key; not
        weighted yet, and never written to. weights: one task weight each, finite. progress: called
        with the modules done, how many there are, and the name of the next.
        """
        return weighted_sum(parts, weights)

    def of(self, total: Adapter, progress: Progress | None = None) -> Adapter:
        """Give what becomes of the merged adapter, when it has the heads that were asked for."""
        return total

    @property
    def settings(self) -> tuple[tuple[str, Setting], ...]:
        """Give its fields by name, as a file's note holds them: numbers, text, truth values.

        A field that is no setting but something to read, such as a base model, has repr=False.
        """
        return tuple((each.name, getattr(self, each.name)) for each in fields(self) if each.repr)

    def made_of(
        self,
        total: Adapter,
        parts: Sequence[Adapter],
        what: str,
        energy_kept: float | None = None,
    ) -> Made:
        """Say how `total` was made, for a method whose result is not the sum of its parts.

        what: in words, what it is of the parts' deltas. energy_kept: of what the method gives,
        where that was cut to a rank (`compress(...).made.energy_kept`).
        """
        inputs = made_by_sum(parts, total.parents).inputs
        return Made(self.name, what, "deltas", self.settings, False, energy_kept, inputs=inputs)
