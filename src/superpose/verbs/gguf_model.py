"""A sum of adapters added to the weights of a GGUF model."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from superpose.errors import BadSetting, MissingBase
from superpose.verbs.adapters import loaded
from superpose.verbs.base import Base, base_name
from superpose.verbs.heads import tell_of_heads

if TYPE_CHECKING:
    from superpose.adapter import Adapter, Heads
    from superpose.formats.gguf.model import BakedGguf
    from superpose.verbs.weights_file import Given

__all__ = ["baked_as_gguf", "check_model_engine"]

MODEL_ENGINES = ("gguf",)


def check_model_engine(engine: str) -> None:
    """Raise BadSetting for what no model can be baked for."""
    if engine not in MODEL_ENGINES:
        known = ", ".join(MODEL_ENGINES)
        raise BadSetting(
            f"{engine!r} is nothing that a model is baked for; there is {known}",
            where="engine",
            hint="Without it a transformers folder is written, which vLLM serves as any model.",
        )


def baked_as_gguf(
    base: Base,
    given: Given,
    out: str | os.PathLike[str],
    *,
    dtype: str | None,
    force: bool,
    heads: Heads,
    same_base: bool,
    ignore_keys: Sequence[str],
    progress: Callable[[int, int], object] | None,
) -> tuple[Adapter, BakedGguf]:
    """Load adapters, and write a GGUF model plus their sum; gives the sum and what was written.

    base: the model's own GGUF file, or `smollm2`. Raises as `bake_gguf`, and as loading and adding
    do.
    """
    from superpose.compose import exact_sum
    from superpose.formats.gguf.model import bake_gguf, check_gguf_model

    file = _file_of(base)
    check_gguf_model(out, file, dtype=dtype, force=force)
    parts = loaded(given.adapters, base=file, ignore_keys=ignore_keys, dora=True)
    weights: Sequence[float] = given.weights
    if given.table is not None:
        parts, weights = given.table.apply(parts)
    total = exact_sum(parts, weights, same_base=same_base, heads=heads)
    tell_of_heads(parts, heads)
    made = bake_gguf(
        file, total, out, dtype=dtype, force=force, same_base=same_base, progress=progress
    )
    return total, made


def _file_of(base: Base) -> Path:
    """Give the GGUF file that a name means; whoever reads it says what is no such file.

    Raises MissingBase for the name of a file that is not here.
    """
    from superpose.files import embedded
    from superpose.files.base import read_base_name
    from superpose.files.file_format import GGUF

    meant = read_base_name(base_name(base))
    if meant.path is not None:
        return meant.path
    if GGUF.takes(Path(meant.given)):
        raise MissingBase("there is no such file", where=meant.given)
    return embedded.gguf_file() if meant.on_hub is None else Path(meant.given)
