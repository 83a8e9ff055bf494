"""What an extraction found: the adapter, the energy it keeps, and what it leaves out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import ClassVar

from superpose.adapter import Adapter
from superpose.files import without_nan
from superpose.shown import Column, Framed, Line, Part, Shown, Table, written

MOST = 10
"""Leftovers that are shown; `extract --json` lists all."""


@dataclass(frozen=True)
class ExtractedModule:
    """One target module. change, relative: |dW| of the fine-tuning, and beside |W0|.

    energy_kept: |B A|^2 / |dW|^2 at this rank.
    """

    name: str
    rank: int
    change: float
    relative: float
    energy_kept: float


@dataclass(frozen=True)
class ExtractedKind:
    """Target modules with one last name (q_proj).

    share: of the energy of the whole change. energy_kept: of their own.
    """

    name: str
    module_count: int
    ranks: tuple[int, ...]
    share: float
    energy_kept: float


@dataclass(frozen=True)
class Leftover:
    """A tensor that differs and that the adapter does not hold.

    kind: embedding, head, norm, bias, router, experts, other, or a linear layer that was not
    chosen. shape, base_shape: in both models, None where there is none. change, relative:
    |T - T_0|, and beside |T_0|; NaN where there is no difference, for want of one of them or of one
    shape. share: of the energy of the whole change, as far as that can be measured.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    base_shape: tuple[int, ...] | None
    change: float
    relative: float
    share: float


@dataclass(frozen=True)
class Extracted(Framed, Shown):
    """A fine-tuned model's delta as an adapter.

    modules: the target modules that changed. leftovers: what else did, the largest share first.
    unchanged: tensors that are the same in both models.
    """

    TABLE: ClassVar[str] = "modules"

    adapter: Adapter
    modules: tuple[ExtractedModule, ...]
    leftovers: tuple[Leftover, ...]
    unchanged: int

    @property
    def energy_kept(self) -> float:
        """|adapter|^2 / |change|^2 over the target modules."""
        kept = _energy(m.change * math.sqrt(m.energy_kept) for m in self.modules)
        return min(1.0, kept / _energy(m.change for m in self.modules))

    @property
    def share_left(self) -> float:
        """Share of the whole change's energy that lies in the leftovers."""
        return math.fsum(x.share for x in self.leftovers if math.isfinite(x.share))

    @property
    def kinds(self) -> tuple[ExtractedKind, ...]:
        """The target modules by their last name."""
        groups: dict[str, list[ExtractedModule]] = {}
        for module in self.modules:
            groups.setdefault(module.name.rpartition(".")[2], []).append(module)
        whole = _energy(m.change for m in self.modules)
        return tuple(
            ExtractedKind(
                name=name,
                module_count=len(group),
                ranks=tuple(sorted({m.rank for m in group})),
                share=(1.0 - self.share_left) * _energy(m.change for m in group) / whole,
                energy_kept=_energy(m.change * math.sqrt(m.energy_kept) for m in group)
                / _energy(m.change for m in group),
            )
            for name, group in groups.items()
        )

    def to_json(self) -> dict[str, object]:
        """Give the figures as plain values; one that does not exist is None."""
        found: dict[str, object] = {
            "name": self.adapter.name,
            "base": self.adapter.base_model,
            "energy_kept": self.energy_kept,
            "share_left": self.share_left,
            "unchanged": self.unchanged,
            "kinds": [asdict(kind) for kind in self.kinds],
            "modules": [asdict(module) for module in self.modules],
            "leftovers": [asdict(leftover) for leftover in self.leftovers],
        }
        return {name: without_nan(value) for name, value in found.items()}

    def shown(self) -> tuple[Part, ...]:
        """Give how much of the change the adapter keeps, by kind, and what it leaves out."""
        kept = _percent(self.energy_kept)
        said = Line(
            f"{len(self.modules)} target modules, rank {self.adapter.rank}, keeps {kept} of the "
            "energy of their change",
            f"What {self.adapter.name} adds to {self.adapter.base_model}:",
        )
        kinds = Table.of("Kept, by kind of module", _KINDS, self.kinds)
        if not self.leftovers:
            return said, kinds
        title = f"Left out: {_percent(self.share_left)} of the energy of the whole change"
        some, count = self.leftovers[:MOST], len(self.leftovers)
        remark = "" if len(some) == count else f"{MOST} of {count}: --json lists all."
        return said, kinds, Table.of(title, _LEFTOVERS, some, remark)

    @property
    def left_out(self) -> str:
        """How much lies in what is left out, in words."""
        unknown = sum(math.isnan(x.share) for x in self.leftovers)
        more = f", without {unknown} that have no counterpart of their shape" if unknown else ""
        count = len(self.leftovers)
        which = "1 tensor that differs is" if count == 1 else f"{count:,} tensors that differ are"
        return (
            f"{which} not in the adapter: "
            f"{_percent(self.share_left)} of the energy of the whole change{more}"
        )


def _percent(share: float) -> str:
    return written(share, lambda value: f"{100 * value:.2f} %")


def _ranks(ranks: tuple[int, ...]) -> str:
    return f"{ranks[0]}" + (f" to {ranks[-1]}" if len(ranks) > 1 else "")


def _changed(left: Leftover) -> str:
    if math.isnan(left.change):
        return "only in one model" if None in (left.shape, left.base_shape) else "resized"
    return f"{left.relative:.3g}"


_SHARE = Column("share of the change", "share", _percent)
_KINDS = (
    Column("kind", "name"),
    Column("modules", "module_count", "d"),
    Column("rank", "ranks", _ranks),
    _SHARE,
    Column("energy kept", "energy_kept", _percent),
)
_LEFTOVERS = (
    Column("tensor", "name"),
    Column("what it is", "kind"),
    Column("relative change", _changed, ""),
    _SHARE,
)


def _energy(sizes: Iterable[float]) -> float:
    return math.fsum(size * size for size in sizes)
