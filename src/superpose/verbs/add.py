"""The exact weighted sum of adapters, or what another merge method makes of them, as a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from superpose.adapter.made import BEST_RANK, ON_BASE, SUM, percent
from superpose.arguments import typed
from superpose.compose import BestRank, Method, OnBase, Sum
from superpose.errors import BadSetting
from superpose.verbs.adapters import Weighted
from superpose.verbs.at_hand import read_back
from superpose.verbs.base import Base, base_name, check_device
from superpose.verbs.engine import check_rank, fitted, tell_of_ranks
from superpose.verbs.from_rows import DomainData
from superpose.verbs.merging import at_rank
from superpose.verbs.progress import Progress
from superpose.verbs.settings import MergeQuestions, Writing, held
from superpose.verbs.summing import summed
from superpose.verbs.told import Told, size
from superpose.verbs.weights_file import TaskWeights, given as given_weights

if TYPE_CHECKING:
    from superpose.adapter import Adapter, Heads
    from superpose.baking.found import ReadBack
    from superpose.formats import Written
    from superpose.model.verification import Verification
    from superpose.verbs.questions import Data

__all__ = ["Added", "add"]

_SUMS = (SUM, ON_BASE, BEST_RANK)


@dataclass(frozen=True)
class Added(Told):
    """A sum that was written.

    adapter: the sum itself. written: what lies on disk. rank: that was asked for. verification: of
    PEFT, where it was asked. read_back: what the base takes of it, where that is on this machine.
    """

    adapter: Adapter
    written: Written
    rank: int | None
    verification: Verification | None
    read_back: ReadBack | None

    @property
    def exact(self) -> bool:
        """Whether it is the sum and no approximation."""
        return self.adapter.made.exact is not False

    @property
    def energy_kept(self) -> float | None:
        """The share of the sum's energy; None for a zero sum at a rank, which has none."""
        if not self.exact:
            return self.adapter.made.energy_kept
        return None if self.rank is not None and self.adapter.norm() == 0.0 else 1.0

    def insist(self) -> None:
        """Raise DoesNotHold where PEFT was asked, and what was written is not the sum."""
        if self.verification is not None:
            self.verification.insist()

    def to_json(self) -> dict[str, Any]:
        """Give what `add --json` prints."""
        total, written, checked, found = (
            self.adapter, self.written, self.verification, self.read_back,
        )  # fmt: skip
        return {
            "output": str(written.path),
            "name": total.name,
            "base": total.base_model,
            "module_count": written.modules,
            "rank": written.rank,
            "dtype": written.dtype,
            "bytes": written.bytes,
            "energy_kept": self.energy_kept,
            "exact": self.exact,
            "made": total.made.written(written.rounding_error).to_json(),
            "rounding_error": written.rounding_error,
            "parents": [parent.to_json() for parent in total.parents],
            "beside": [
                {**one.to_json(), "carried": one.file in written.carried} for one in total.beside
            ],
            "verify": None if checked is None else checked.to_json(),
            "read_back": None if found is None else found.to_json(),
        }

    def __str__(self) -> str:
        total, written = self.adapter, self.written
        lines = [
            f"wrote {written.path}: {total.name}",
            f"  {written.modules} target modules, rank {written.rank}, {self._kept()}",
            f"  {written.dtype}, {size(written.bytes)}, rounding error "
            f"{written.rounding_error:.2g}",
        ]
        if total.made.inputs and total.made.method in _SUMS:
            lines.append(f"  {total.made}")
        if written.carried:
            lines.append(f"  with the tokenizer of its parents: {', '.join(written.carried)}")
        if self.read_back is not None:
            lines.append(f"  {self.read_back}")
        if (checked := self.verification) is not None:
            fails = "" if checked.approximate or checked.holds else "not the sum: "
            lines.append(f"  {fails}{checked}")
        return "\n".join(lines)

    def _kept(self) -> str:
        if self.exact:
            # Beside a rounding error of 0.0015 the bare word would be read as a promise.
            return "exact" if self.written.rounding_error < 1e-6 else "exact but for rounding"
        if self.adapter.made.method not in _SUMS:
            return str(self.adapter.made)
        if self.energy_kept is None:
            return "not the exact sum"
        return f"keeps {percent(self.energy_kept)} of the energy"


@typed
def add(
    adapters: Weighted,
    out: str | os.PathLike[str],
    weights: TaskWeights = None,
    method: Method = Sum(),
    *,
    rank: int | None = None,
    engine: str | None = None,
    data: Data = (),
    questions: MergeQuestions = MergeQuestions(),
    base: Base | None = None,
    heads: Heads = "sum",
    same_base: bool = False,
    ignore_keys: Sequence[str] = (),
    writing: Writing = Writing(),
    verify: Base | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> Added:
    """Add adapters exactly, write the sum as one adapter, and read it back as its engine would.

    Or write what another method makes of them.

    adapters, weights, method, data, questions, base, heads, same_base, progress: as for
    `superpose.merge`. out: a
    folder, a .gguf or, of image LoRAs, a .safetensors file. rank: write the best approximation of
    this rank instead of the whole. engine: "peft", "vllm" or "llama.cpp": refuse what it does not
    read, and fit the rank to what it serves. verify: a base model on which PEFT is asked whether
    what was written is the sum; the result's `insist` raises where it is not. device: where the
    base model of `data` and of `verify` is, as for `superpose.merge`.

    Raises as `superpose.merge` and `superpose.save`, all that can be told before anything is read
    or computed first.

    >>> superpose.add(["math", "finance:0.5"], "both", rank=8)  # doctest: +SKIP
    """
    from superpose.formats import check_output, engines_of, save

    held(writing, Writing, "writing")
    given, rows = given_weights(adapters, weights), DomainData(data, questions, base, device)
    check_device(device, bool(data) or verify is not None)
    check_rank(rank, engine)
    if verify is not None and not isinstance(method, BestRank | OnBase | Sum):
        raise BadSetting(f"PEFT knows no `{method.name}` to compare with", where="verify")
    options = {"engine": engine, **vars(writing)}
    writable = partial(check_output, out, **options)
    writable()  # all that can be refused without reading an adapter
    name = None if base is None else base_name(base)
    total, here = summed(
        given, *at_rank(method, rank), base=name, heads=heads, same_base=same_base,
        ignore_keys=ignore_keys, rows=rows, writable=writable, progress=progress,
    )  # fmt: skip
    total = fitted(total, engine)
    # Before writing: base or parent may not load, and the output may be one of the parents.
    expected = checked = None
    if verify is not None:
        from superpose.verbs.witness import compared, expected_sum

        expected = expected_sum(verify, given, total, device)
    written = save(total, out, base=name, **options)
    if expected is not None:
        checked = compared(expected, written.path, total.made.exact is not False)
    found = read_back(written.path, here, name or total.base_model)
    if not writing.compact and "vllm" in engines_of(written.path):
        tell_of_ranks(total, written, engine)
    return Added(total, written, rank, checked, found)
