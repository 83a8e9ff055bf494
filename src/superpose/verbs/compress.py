"""Several adapters in one basis of each target module: as ordinary adapters, and as one file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.verbs.adapter_folders import (
    check_folder_of_adapters,
    folder_of_adapters,
    output_names,
    weights_bytes,
    write_ordinary,
)
from superpose.verbs.adapters import Adapters, loaded
from superpose.verbs.at_hand import base_of
from superpose.verbs.base import Base, base_name
from superpose.verbs.compressed import Bytes, Compressed, compressed_adapters
from superpose.verbs.notes import note
from superpose.verbs.progress import Progress
from superpose.verbs.settings import Writing, held

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.formats.shared_form.rounding import SharedForm

__all__ = ["compress"]

_FORMS = ("both", "ordinary", "shared")

_ENERGY = 0.99
"""What is kept where neither a rank nor an energy is given: an error of 10 % at most."""


@typed
def compress(
    adapters: Adapters,
    out: str | os.PathLike[str] | None = None,
    *,
    rank: int | None = None,
    energy: float | None = None,
    form: str = "both",
    base: Base | None = None,
    same_base: bool = False,
    ignore_keys: Sequence[str] = (),
    writing: Writing = Writing(),
    progress: Progress | None = None,
) -> Compressed:
    """Bring adapters of one base model into one basis of each target module, and say what is lost.

    dW_k becomes U C_k V, with U and V shared by all and C_k small. adapters: names or loaded ones.
    rank: of every module's basis. energy: the share of its |dW|^2 that each adapter keeps in each
    module, in the least rank that is found; with rank, at most that. 0.99 where neither is given.
    out: a folder, which gets an ordinary adapter for each; `shared.safetensors`, of which
    `superpose.expand` makes the same adapters, to the bit; and `compression.json`, all figures.
    None writes nothing. form: "ordinary" or "shared" writes one of the two alone. base,
    same_base: as for `superpose.check`.

    Biases, heads of different shapes and tensors that are stored whole are in no basis and stay as
    they are; DoRA is refused. All adapters are in memory at once.

    Raises as loading does, DifferentBase for adapters of different bases, BadSetting for settings
    that make no sense, OutputExists where something stands at out, and as `superpose.save`.

    >>> superpose.compress(["math", "law", "code"], "small", rank=16)  # doctest: +SKIP
    """
    from superpose.baking.found import tree_of_base
    from superpose.compose.one_basis import in_one_basis
    from superpose.formats.shared_form.rounding import shared_form

    _check(out, form, writing)
    parts = loaded(adapters, base=base, ignore_keys=ignore_keys)
    here = base_of(parts, None if base is None else base_name(base))
    energy = _ENERGY if rank is None and energy is None else energy
    tell = progress or (lambda *_: None)
    basis = in_one_basis(
        parts, rank, energy=energy, same_base=same_base,
        tree=None if here is None else tree_of_base(here),
        progress=lambda done, of, _: tell(done, of, "find bases"),
    )  # fmt: skip
    kept = shared_form(basis, writing.dtype, compact=writing.compact)
    names = output_names(parts)
    found, alone = compressed_adapters(parts, basis, kept, names)
    ranks = {key: len(module.inputs) for key, module in basis.modules.items()}
    place = nullcontext() if out is None else folder_of_adapters(out, force=writing.force)
    with place as folder:
        sizes = _written(parts, kept, names, folder, form, progress)
        where = None if out is None else Path(out)
        result = Compressed(where, form, found, ranks, alone, sizes, kept)
        if folder is not None:
            result.write_report(folder)
    return result


def _check(out: str | os.PathLike[str] | None, form: str, writing: Writing) -> None:
    """Raise what can be told before any adapter is read."""
    from superpose.formats.folded import checked_dtype

    held(writing, Writing, "writing")
    if form not in _FORMS:
        raise BadSetting(f"{form!r} is none of {', '.join(_FORMS)}", where="form")
    if writing.dtype is not None:
        checked_dtype(writing.dtype)
    if out is not None:
        check_folder_of_adapters(out, force=writing.force)


def _written(
    parts: Sequence[Adapter],
    kept: SharedForm,
    names: Sequence[str],
    folder: Path | None,
    form: str,
    progress: Progress | None,
) -> Bytes:
    """Write what was asked for, and give the lengths of all of it."""
    from superpose.formats.shared_form.mark import FILE
    from superpose.formats.shared_form.writing import shared_form_bytes, write_shared_form

    given = [weights_bytes(part.path) for part in parts]
    known = [size for size in given if size is not None]
    ordinary = write_ordinary(kept, names, None if form == "shared" else folder, progress)
    if folder is not None and form != "ordinary":
        write_shared_form(folder / FILE, kept)
        _tell_of_tokenizers(parts)
    return Bytes(
        sum(known) if len(known) == len(given) else None, ordinary, shared_form_bytes(kept)
    )


def _tell_of_tokenizers(parts: Sequence[Adapter]) -> None:
    """Say whose tokenizer is not in the shared form."""
    held = {part.name for part in parts for one in part.beside if one.kind == "tokenizer"}
    if held:
        note("note", f"the shared form holds no tokenizer; {', '.join(sorted(held))} have one")
