"""A GGUF model with an adapter, or a sum of adapters, added to its weights.

Read and written tensor by tensor, a block of rows at a time: memory does not grow with the model.
Metadata, tokenizer among it, is carried byte for byte; a tensor that nothing changes, too.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from superpose.adapter import Adapter
from superpose.adapter.beside import tell_of_trained
from superpose.adapter.same_base import is_unnamed, plain_name
from superpose.errors import (
    BadInput,
    BadSetting,
    DifferentBase,
    OutputExists,
    Refused,
    SuperposeWarning,
)
from superpose.files import check_free_file
from superpose.files.file_format import GGUF
from superpose.formats.expanded import with_factors
from superpose.formats.gguf.architectures import Architecture
from superpose.formats.gguf.base import read_base
from superpose.formats.gguf.header import GgufHeader, read_gguf_header
from superpose.formats.gguf.model_file import write_model
from superpose.formats.gguf.model_plan import ModelPlan, plan_model
from superpose.formats.gguf.model_rows import Rounded, holds_copy
from superpose.formats.gguf.names import llama_cpp_tensors
from superpose.formats.gguf.write import DTYPES
from superpose.formats.noted import KEY

__all__ = ["BakedGguf", "bake_gguf", "check_gguf_model"]


@dataclass(frozen=True)
class BakedGguf:
    """A GGUF model that was written.

    path: of the file. tensors: in all. changed: that an adapter changed. bytes: of the file. types:
    the types of the changed tensors, with how many there are. requantised: how many of them are
    quantised. untied: embedding and output, one tensor in the base, came to differ. lost: what
    rounding took of the whole change, relative: above 1 it is larger than the change; None where
    nothing changes.
    """

    path: Path
    tensors: int
    changed: int
    bytes: int
    types: Mapping[str, int]
    requantised: int
    untied: bool
    lost: float | None
    files: int = 1
    new: tuple[str, ...] = field(default=())

    def notes(self) -> list[str]:
        """Say in which types the changed tensors are, what that costs, and what is new."""
        each = ", ".join(f"{count} in {name}" for name, count in self.types.items())
        lost = (
            "" if self.lost is None else f"; rounding takes {_percent(self.lost)} % of the change"
        )
        said = [f"changed: {each or 'none'}{lost}"]
        if self.untied:
            said.append("embedding and output layer, tied in the base model, differ now")
        return said

    def to_json(self) -> dict[str, object]:
        """Give the same as JSON can hold it."""
        own = {"path": str(self.path), "types": dict(self.types), "new": list(self.new)}
        return {**vars(self), **own}


def check_gguf_model(
    path: str | os.PathLike[str], base: Path, *, dtype: str | None = None, force: bool = False
) -> None:
    """Raise what `bake_gguf` would raise for these options; ask before a long computation.

    OutputExists: `force` replaces a model that bake wrote and nothing else. BadInput for a name
    that does not end in .gguf, and for the base model itself.
    """
    target = Path(path)
    if dtype is not None and dtype not in DTYPES:
        raise BadSetting(f"{dtype!r} is none of {', '.join(DTYPES)}", where="dtype")
    if target.suffix != GGUF.ending:
        raise BadInput("is no name of a GGUF model", where=path, hint="Let it end in .gguf.")
    if not base.is_file() or not GGUF.takes(base):
        raise BadInput(
            "is no GGUF file, and a GGUF model is made of the base's own",
            where=base,
            hint="Convert it with llama.cpp's convert_hf_to_gguf.py, or leave --for gguf out and "
            "give a folder, and convert that.",
        )
    if os.path.realpath(target) == os.path.realpath(base):
        raise BadInput("is the base model itself; give another output", where=path)
    check_free_file(target, force=force)
    if target.exists() and not _is_ours(target):
        raise OutputExists("is no model that superpose baked; nothing was written", where=path)


def bake_gguf(
    base: Path,
    adapter: Adapter,
    path: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    force: bool = False,
    same_base: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> BakedGguf:
    """Write a GGUF model with an adapter, or a sum of adapters, added to its weights.

    base: the model's own GGUF file, of one part. dtype: "float32", "float16" or "bfloat16" for the
    tensors that change; None keeps each one's type. same_base: the file is known to be the
    adapters' base model whatever its metadata calls it. progress: told bytes written and in all.

    F32, F16, BF16 and F64 tensors are W_0 + change in float32 (float64 where the base is), rounded
    once. Quantised ones are read, added to, and quantised anew, which rounds all of their values;
    how much that takes of the change is the result's `lost`.

    Raises as `check_gguf_model`; Refused, naming it, for a tensor whose type cannot be written and
    for what is no change of weights; DifferentBase where architecture, shapes or names say that the
    model is another; BadInput where a value would not be finite or the disk has no room. Nothing is
    left behind then.
    """
    check_gguf_model(path, base, dtype=dtype, force=force)
    header = read_gguf_header(base)
    numbers = read_base(base)
    _check_whole(header, base)
    _check_name(header, adapter, base, same_base)
    _check_copies(header, adapter, base, numbers.architecture)
    tell_of_trained(adapter.beside, "which is not in the model")
    plan = plan_model(header, with_factors(adapter), numbers, dtype, base)
    target = Path(path)
    rounded = Rounded()
    written = write_model(base, header, plan, adapter, target, rounded, progress)
    lost = rounded.lost()
    if lost is not None and lost > 0.5:
        warnings.warn(
            f"{target}: rounding takes {100 * lost:.0f} % of what the adapters change; "
            "--dtype float32 keeps it, and float16 more of it than a quantised type",
            SuperposeWarning,
            stacklevel=2,
        )
    return _baked(plan, header, target, written, lost)


def _baked(
    plan: ModelPlan, header: GgufHeader, target: Path, written: int, lost: float | None
) -> BakedGguf:
    changed = [t for t in plan.changed.values() if t.addends]
    new = tuple(name for name in plan.changed if name not in header.tensors)
    return BakedGguf(
        path=target,
        tensors=len(header.tensors) + len(new),
        changed=len(changed),
        bytes=written,
        types=dict(sorted(Counter(t.type.name for t in changed).items())),
        requantised=sum(not t.type.plain for t in changed),
        untied=plan.untied,
        lost=lost,
        new=new,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if share >= 0.1 else f"{100 * share:.2g}"


def _is_ours(path: Path) -> bool:
    try:
        metadata = read_gguf_header(path).metadata
    except BadInput:
        return False
    return KEY in metadata and metadata.get("general.type", "model") == "model"


def _check_whole(header: GgufHeader, base: Path) -> None:
    parts = header.metadata.get("split.count", 1)
    if isinstance(parts, int) and parts > 1:
        raise Refused(
            f"is one of {parts} parts of a model",
            where=base,
            hint="Join them with llama.cpp: llama-gguf-split --merge FIRST-PART OUT.gguf",
        )


def _check_name(header: GgufHeader, adapter: Adapter, base: Path, same_base: bool) -> None:
    """Raise DifferentBase where neither of the file's names is that of the adapters' base model."""
    theirs = plain_name(adapter.base_model)
    names = [header.metadata.get(f"general.{key}") for key in ("name", "basename")]
    ours = {n: plain_name(n) for n in names if isinstance(n, str) and not is_unnamed(n)}
    known = [plain for plain in ours.values() if plain]
    if same_base or theirs is None or is_unnamed(str(adapter.base_model)) or not known:
        return
    if not any(plain in theirs or theirs in plain for plain in known):
        raise DifferentBase(
            f"calls itself {' and '.join(ours)}, and the adapters are of {adapter.base_model}",
            where=base,
            hint="Give --same-base (in Python: same_base=True) where both are one model.",
        )


def _check_copies(
    header: GgufHeader, adapter: Adapter, base: Path, architecture: Architecture
) -> None:
    """Raise DifferentBase where a copy of the base's own tensor beside an adapter is another.

    BadInput where the model has no such tensor.
    """
    for tensor, copy in adapter.copies.items():
        found = llama_cpp_tensors(architecture, tensor.removesuffix(".weight"))
        name = f"{found[0].name}.weight" if found else ""
        name = name if name in header.tensors else "token_embd.weight"
        if name not in header.tensors:
            raise BadInput(f"has no tensor `{name}`, of which the adapter holds a copy", where=base)
        if not holds_copy(base, header, name, np.asarray(copy)):
            raise DifferentBase(
                f"`{tensor}`, which lies beside the adapter, is another than this model's `{name}`",
                where=base,
                hint="Was a vocabulary resized, or the adapter trained on another base model?",
            )
