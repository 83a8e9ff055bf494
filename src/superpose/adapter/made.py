"""How an adapter was made of others: by which method, how exactly, and what it keeps of them.

It goes with the adapter from the operation that made it into the file and back, and whatever speaks
of an adapter (repr, model card, `info`, `diff`, pages, a file's metadata) speaks from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter
    from superpose.adapter.parents import Parent
    from superpose.lowrank.truncation import Truncated

Setting: TypeAlias = "str | int | float | bool | None"
"""A method's setting, as a file's note holds it."""

GIVEN, SUM, ON_BASE, BEST_RANK, EXTRACT = "given", "sum", "on base", "best rank", "extract"
ONE_BASIS = "one basis"
"""Methods by name: nothing was done; a weighted sum; one worked out on the base model; its best
approximation; out of two models; an approximation in a basis that several adapters share."""

_ONE, _SEVERAL, _COPY = "one adapter's deltas", "deltas", "a copy"
_SUMS = (GIVEN, SUM, ON_BASE)
_MOST_NAMED = 3


@dataclass(frozen=True)
class Made:
    """How an adapter came about from what it was made of.

    method: its name, such as "sum". what: in words, what the result is; of: of what, such as "a
    weighted sum of deltas". settings: of the method, by name. exact: it is the weighted sum of its
    parents, but for rounding; None where a file does not tell. energy_kept: |result|^2 / |that of
    which it is an approximation|^2 (`of`), over the target modules; None where nothing was
    approximated, or it cannot be told. share_left_out: of the energy of a fine-tuning, what lies
    in tensors that an extraction leaves out. rounding_error: |written - exact| / |exact| of the
    file that it was read from; None in memory. inputs: what it was made of and was no exact sum
    itself, with its name, each once.
    """

    method: str = GIVEN
    what: str = ""
    of: str = _ONE
    settings: tuple[tuple[str, Setting], ...] = ()
    exact: bool | None = True
    energy_kept: float | None = None
    share_left_out: float | None = None
    rounding_error: float | None = None
    inputs: tuple[tuple[str, Made], ...] = ()

    @property
    def whole(self) -> str:
        """What the result is, in words: `the best approximation of rank 4 of ...`."""
        return f"{self.what} of {self.of}" if self.what and self.of else self.what or self.of

    @property
    def plain(self) -> bool:
        """Whether there is nothing to say: as it was given, or an exact sum of such."""
        return self.exact is not False and not self.inputs

    def __str__(self) -> str:
        """Give one sentence, without a full stop: what it is, what it keeps, and of what."""
        return self.whole + self._beyond()

    def _beyond(self) -> str:
        """Give what is to be said beyond `whole`: the energy kept, which inputs were not exact."""
        kept = ""
        if self.energy_kept is not None:
            cut = "" if self.method in (BEST_RANK, EXTRACT, ONE_BASIS) else "cut to its rank "
            whose = "its" if self.method in (BEST_RANK, ONE_BASIS) else "the"
            kept = f"; {cut}it keeps {percent(self.energy_kept)} of {whose} energy"
        if self.exact is None:
            kept += "; whether exactly, its file does not tell"
        if self.share_left_out:
            kept += f"; tensors with {percent(self.share_left_out)} of the change's are left out"
        named = [f"{name} is {made.told}" for name, made in self.inputs[:_MOST_NAMED]]
        more = len(self.inputs) - len(named)
        named += [f"{more} more are not exact"] if more else []
        return kept + (f"; in it {', '.join(named)}" if named else "")

    @property
    def told(self) -> str:
        """What it is and what it keeps, in few words, for one among several."""
        kept = "" if self.energy_kept is None else f" ({percent(self.energy_kept)} of the energy)"
        return f"{self.whole}{kept}"

    @property
    def suffix(self) -> str:
        """What a title adds to the adapter's name, which is that of the sum: `, at rank 4`."""
        if self.exact is not False or self.method in (*_SUMS, EXTRACT):
            return ""
        rank = dict(self.settings).get("rank")
        return f", {f'at rank {rank}' if self.method == BEST_RANK and rank else self.method}"

    def to_json(self) -> dict[str, object]:
        """Give all of it, and the sentence."""
        return {
            "method": self.method,
            "sentence": str(self),
            "what": self.what,
            "of": self.of,
            "settings": dict(self.settings),
            "exact": self.exact,
            "energy_kept": self.energy_kept,
            "share_left_out": self.share_left_out,
            "rounding_error": self.rounding_error,
            "inputs": [{"name": name, **made.to_json()} for name, made in self.inputs],
        }

    def written(self, rounding_error: float) -> Made:
        """Give the same as a file holds it, whose own rounding this is.

        A copy's rounding comes to that of what was copied: together they are at most their sum.
        """
        return replace(self, rounding_error=rounding_error + (self.rounding_error or 0.0))


def percent(share: float) -> str:
    """Write a share as `71.23 %`; one that would be rounded to all of it as `all but 3e-06`."""
    return f"all but {max(1.0 - share, 1e-16):.1g}" if share > 0.9999 else f"{100 * share:.2f} %"


def made_by_sum(parts: Sequence[Adapter], parents: Sequence[Parent]) -> Made:
    """Say of a weighted sum how it was made. parents: of the sum, with their task weights.

    What lies on disk is a parent itself, so that the sum is exact of it, whatever it is of its own
    parents; what was approximated in memory is one by its parents' names.
    """
    exact = [True if _is_parent(part) else part.made.exact for part in parts]
    inputs = (one for part in parts for one in _inputs_of(part))
    what, of = "a weighted sum", _SEVERAL
    if len(parents) == 1:
        what, of = (_COPY if parents[0].weight == 1.0 else "a multiple"), _ONE
    return Made(
        SUM,
        what,
        of,
        exact=False if False in exact else None if None in exact else True,
        inputs=tuple(dict.fromkeys(inputs)),
    )


def made_by_scaling(adapter: Adapter, parents: Sequence[Parent], *, unchanged: bool) -> Made:
    """Say how a multiple was made. parents: of it. unchanged: it is the same deltas.

    The best approximation of a multiple is the multiple of the best approximation, and keeps as
    much; of another method's result no more is known than that it is among what was added.
    """
    if not _is_parent(adapter) and (unchanged or adapter.made.method == BEST_RANK):
        return replace(adapter.made, rounding_error=None)
    return made_by_sum((adapter,), parents)


def made_in_basis(adapter: Adapter, rank: int, adapters: int, modules: Iterable[Truncated]) -> Made:
    """Say of an approximation in one basis of several adapters how it was made.

    rank: the largest of the basis. modules: what each target module's keeps.
    """
    found = made_by_rank(adapter, rank, modules)
    if found.method != BEST_RANK:
        return found
    what = f"the approximation in one basis of {adapters} adapters, of rank {rank},"
    settings = (("rank", rank), ("adapters", adapters))
    return replace(found, method=ONE_BASIS, what=what, settings=settings)


def made_by_rank(adapter: Adapter, rank: int, modules: Iterable[Truncated]) -> Made:
    """Say of a best approximation how it was made.

    modules: what each target module's keeps. Of an approximation that was made in memory the better
    ones of lower rank are those of what it approximates, and their shares multiply: both are
    orthogonal projections.
    """
    found = tuple(modules)
    whole = adapter.made
    if _is_parent(adapter):
        whole = Made(of=_ONE, inputs=_inputs_of(adapter))
    if all(module.exact for module in found):
        return replace(whole, method=SUM, what=_COPY) if whole.method == GIVEN else whole
    kept, again = energy_kept(found), whole.method == BEST_RANK
    if again:
        kept = None if kept is None or whole.energy_kept is None else kept * whole.energy_kept
    return Made(
        BEST_RANK,
        f"the best approximation of rank {rank}",
        whole.of if again or whole.what in ("", _COPY) else whole.whole,
        (("rank", rank),),
        exact=False,
        energy_kept=kept,
        inputs=whole.inputs if whole.method in (*_SUMS, BEST_RANK) else _inputs_of(adapter),
    )


def energy_kept(modules: Sequence[Truncated]) -> float | None:
    """Give |compressed|^2 / |whole|^2 over all modules; None where all are zero."""
    # hypot scales before it squares, so that neither tiny nor huge deltas lose their energy.
    kept = math.hypot(*(module.kept for module in modules))
    whole = math.hypot(*(module.whole for module in modules))
    return min(1.0, kept / whole) ** 2 if whole > 0.0 else None


def _is_parent(adapter: Adapter) -> bool:
    """Say whether an adapter is a parent of what is made of it, and not its own parents."""
    return adapter.path is not None or not adapter.parents


def _inputs_of(adapter: Adapter) -> tuple[tuple[str, Made], ...]:
    """Give what a sum says of an adapter in it: nothing of one that is exact of exact ones."""
    made = replace(adapter.made, rounding_error=None)
    flat = made.exact is not False or made.method in _SUMS
    return made.inputs if flat else ((adapter.name, made),)


__all__ = [
    "BEST_RANK",
    "EXTRACT",
    "GIVEN",
    "ONE_BASIS",
    "ON_BASE",
    "SUM",
    "Made",
    "Setting",
    "energy_kept",
    "made_by_rank",
    "made_by_scaling",
    "made_by_sum",
    "made_in_basis",
    "percent",
]
