"""Is a model base + sum, or a written adapter the sum? Tensor by tensor."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.files import with_home
from superpose.verbs.adapters import AdapterName, Weighted, called_by, loaded
from superpose.verbs.base import Base
from superpose.verbs.progress import Progress, stepping
from superpose.verbs.summing import sum_on_base
from superpose.verbs.told import Told
from superpose.verbs.weights_file import TaskWeights, given

if TYPE_CHECKING:
    from superpose.adapter import Adapter, Heads
    from superpose.baking import Proof
    from superpose.files.base import LocatedBase
    from superpose.verbs.gate import Gate

__all__ = ["Verified", "verify"]


@dataclass(frozen=True)
class Verified(Told):
    """What comparing a result with a sum found.

    result: what it is called. name: of the sum. path: where the result lies, None for one in
    memory.
    """

    result: str
    name: str
    proof: Proof
    path: str | None = None
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether the result is the sum."""
        return self.proof.holds

    def insist(self) -> None:
        """Raise DoesNotHold, naming what differs, unless the result is the sum."""
        self.proof.insist(self.result)

    def gate(self) -> Gate:
        """Give it as what was tested: one test, or one for each tensor that differs."""
        from superpose.verbs.gate import gate_of_proof

        return gate_of_proof(self.proof, self.result, self.path, self.seconds)

    def to_json(self) -> dict[str, Any]:
        """Give what `verify --json` prints."""
        return {"result": self.result, "name": self.name, **self.proof.to_json()}

    def __str__(self) -> str:
        return f"{self.result} is {'' if self.holds else 'not '}the sum: {self.proof}"


@typed
def verify(
    base: Base | None,
    adapters: Weighted,
    result: AdapterName,
    weights: TaskWeights = None,
    *,
    heads: Heads = "sum",
    same_base: bool = False,
    ignore_keys: Sequence[str] = (),
    progress: Progress | None = None,
) -> Verified:
    """Compare a model with base + sum, or an adapter with the sum, tensor by tensor.

    What differs is in the result, whose `insist` raises DoesNotHold then. base: a name, or a loaded
    base model, whose files are read; None for the one that the adapters name. adapters, weights,
    heads, same_base: as for `superpose.merge`. result: the folder of a model, or an adapter.
    progress: called with the bytes compared, how many there are, and what is done.

    Raises BadSetting where there is no adapter, and as loading, adding and comparing do.
    """
    from superpose.adapter.beside import tell_of_trained

    adding = given(adapters, weights)
    if not adding.adapters:
        raise BadSetting("give at least one adapter, and the result last", where="adapters")
    started = time.perf_counter()
    total, here = sum_on_base(
        base, adding, heads=heads, same_base=same_base, ignore_keys=ignore_keys
    )
    tell_of_trained(total.beside, "which lies in no file that is compared")
    proof = _proof(here, total, result, progress)
    path = _path_of(result)
    seconds = time.perf_counter() - started
    return Verified(called_by(result), total.name, proof, path, seconds)


def _proof(
    base: LocatedBase, total: Adapter, result: AdapterName, progress: Progress | None
) -> Proof:
    from superpose.baking import prove_model, prove_sum

    if isinstance(result, str | os.PathLike) and _is_model(result):
        step = stepping(progress, f"verify {called_by(result)}")
        return prove_model(base.folder, total, with_home(result), progress=step)
    (adapter,) = loaded([result], base=base.folder, dora=True)
    return prove_sum(total, adapter, base.folder)


def _path_of(result: AdapterName) -> str | None:
    if isinstance(result, str | os.PathLike):
        return str(with_home(result))
    return result.path


def _is_model(result: str | os.PathLike[str]) -> bool:
    """Say whether a name means a model's folder and not an adapter."""
    from superpose.files.file_format import PEFT

    folder = with_home(result)
    return (folder / "config.json").exists() and not (folder / PEFT.folder[0]).is_file()
