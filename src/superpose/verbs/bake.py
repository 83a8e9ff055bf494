"""A base model with adapters added to its weights, as one model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.shown.words import counted
from superpose.verbs.adapters import Weighted
from superpose.verbs.base import Base, base_name
from superpose.verbs.notes import note
from superpose.verbs.progress import Progress, stepping
from superpose.verbs.summing import sum_on_base
from superpose.verbs.told import Told, size
from superpose.verbs.weights_file import TaskWeights, given

if TYPE_CHECKING:
    from superpose.adapter import Adapter, Heads
    from superpose.baking import Baked
    from superpose.formats.gguf.model import BakedGguf

__all__ = ["BakedModel", "bake"]


@dataclass(frozen=True)
class BakedModel(Told):
    """A model that was written. base: what it is called. adapter: the sum that was added to it.

    baked: the folder, or the GGUF file.
    """

    base: str
    adapter: Adapter
    baked: Baked | BakedGguf

    def to_json(self) -> dict[str, Any]:
        """Give what `bake --json` prints."""
        from superpose.adapter.beside import trained

        total = self.adapter
        baked = self.baked.to_json()
        return {
            "output": baked.pop("path"),
            **baked,
            "name": total.name,
            "base": self.base,
            "parents": [parent.to_json() for parent in total.parents],
            "made": total.made.to_json(),
            "beside": [one.to_json() for one in trained(total.beside)],
        }

    def __str__(self) -> str:
        baked = self.baked
        copied = baked.tensors - baked.changed - len(baked.new)
        lines = [
            f"wrote {baked.path}: {self.base} + {self.adapter.name}",
            f"  {counted(baked.changed, 'tensor')} changed, {copied} copied as they are, "
            f"{size(baked.bytes)} in {baked.files} file(s)",
        ]
        return "\n".join([*lines, *(f"  {said}" for said in baked.notes())])


@typed
def bake(
    base: Base | None,
    adapters: Weighted,
    out: str | os.PathLike[str],
    weights: TaskWeights = None,
    *,
    engine: str | None = None,
    dtype: str | None = None,
    force: bool = False,
    heads: Heads = "sum",
    same_base: bool = False,
    ignore_keys: Sequence[str] = (),
    progress: Progress | None = None,
) -> BakedModel:
    """Write a base model plus a weighted sum of adapters as a model of its own.

    base: a name, or a loaded base model, whose files are read; None for the one that the adapters
    name. adapters, weights, heads, same_base: as for `superpose.merge`. out: the folder. engine:
    "gguf" makes a GGUF model of the base's own GGUF file, and `out` is the file. dtype: of the
    whole model, of a GGUF model of the tensors that change; None keeps each tensor's own. force:
    replace a model that bake wrote to `out`. progress: called with the bytes written, how many
    there are, and what is done.

    Raises as `superpose.baking.bake` or `superpose.formats.gguf.model.bake_gguf`, and as loading
    and adding do.
    """
    adding = given(adapters, weights)
    step = stepping(progress, f"bake {os.fspath(out)}")
    if engine is not None:
        from superpose.verbs.gguf_model import baked_as_gguf, check_model_engine

        check_model_engine(engine)
        if base is None:
            raise BadSetting(
                "the adapters do not name the base model's own GGUF file",
                where="base",
                hint="Name it before them: BASE.gguf ADAPTER ..., in Python base=.",
            )
        total, made = baked_as_gguf(
            base, adding, out, dtype=dtype, force=force, heads=heads, same_base=same_base,
            ignore_keys=ignore_keys, progress=step,
        )  # fmt: skip
        return BakedModel(base_name(base), total, made)
    from superpose.baking import bake as bake_model

    total, here = sum_on_base(
        base, adding, heads=heads, same_base=same_base, ignore_keys=ignore_keys
    )
    baked = bake_model(here, total, out, dtype=dtype, force=force, progress=step)
    if baked.new:
        note("note", f"new in the model: {', '.join(baked.new)}")
    if baked.dropped:
        note("note", f"left out, as a classifier does not have it: {', '.join(baked.dropped)}")
    return BakedModel(str(here), total, baked)
