"""What a proof found: that a result is the sum it claims to be, tensor by tensor, or where not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from superpose.errors import DoesNotHold, bullets

_SHOWN = 5


class Failure(NamedTuple):
    """One tensor, or one module's delta, that is not what it has to be, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Proof:
    """The outcome of comparing a result with base and adapters.

    kind: of the result. checked: tensors of a model, or deltas and stored tensors of an adapter.
    changed: those of them that the adapters change. worst: name of the one that is farthest off,
    None where nothing was changed. error: how far: in a model in units in the last place of the
    dtype it is stored in, beyond what float32 arithmetic may have cost (rounding once costs up to
    half a unit), in an adapter relative to the sum. lost: what rounding to the stored dtype took
    of the whole change, relative; None for an adapter. unmoved: how many tensors that the adapters
    change hold the base model's own values instead.
    """

    kind: Literal["model", "adapter"]
    checked: int
    changed: int
    worst: str | None
    error: float
    lost: float | None
    failures: tuple[Failure, ...]
    unmoved: int = 0

    @property
    def holds(self) -> bool:
        """Whether the result is the sum."""
        return not self.failures

    @property
    def has_nothing(self) -> bool:
        """Whether a model has nothing of the adapters: all that they change is the base's own."""
        return bool(self.failures) and 0 < self.unmoved == self.changed

    def insist(self, where: object) -> None:
        """Raise DoesNotHold, naming what differs, unless the result is the sum.

        where: what the user called the result.
        """
        if self.holds:
            return
        said = bullets([f"{f.name}: {f.reason}" for f in self.failures], _SHOWN)
        what = "tensors" if self.kind == "model" else "target modules"
        problem = f"is not the sum: {len(self.failures)} of {self.checked} {what} differ:{said}"
        if self.has_nothing:
            raise DoesNotHold(
                f"has nothing of the adapters in it: each of the {self.changed} tensors that they "
                f"change is the base model's own:{said}",
                where=where,
                hint="What merged it left the adapters out: superpose bake BASE ADAPTER... -o OUT "
                "adds them.",
            )
        raise DoesNotHold(problem, where=where)

    def to_json(self) -> dict[str, object]:
        """Give the same as JSON can hold it."""
        failures = [failure._asdict() for failure in self.failures]
        return {**vars(self), "holds": self.holds, "failures": failures}

    def __str__(self) -> str:
        if self.kind == "adapter":
            return f"{self.checked} target modules agree; relative error at most {self.error:.2g}"
        copied = self.checked - self.changed
        lost = "" if not self.lost else f"; rounding lost {100 * self.lost:.2g} % of the change"
        return (
            f"{self.changed} changed tensors are base + sum, rounded once (at most "
            f"{self.error:.2g} units in the last place), {copied} others are the base's own{lost}"
        )
