"""The two doors of the package: `load` a name, `save` an adapter."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from superpose.adapter import Adapter
from superpose.errors import Refused
from superpose.files import called, check_free, locate
from superpose.formats.peft import REPLACEABLE, Written, checked_dtype, read_peft, write_peft


def load(name: str | os.PathLike[str], *, ignore_keys: Collection[str] = ()) -> Adapter:
    """Read an adapter from a PEFT folder, a file or, by its name, from the Hugging Face hub.

    name: a path, `org/name`, `org/name/folder@revision` or an address of the hub; what exists
    here wins. A file is a GGUF LoRA (.gguf), or one of kohya's or diffusers' (.safetensors).
    ignore_keys: keys of the configuration that superpose does not know and that you know not to
    touch the weights.

    Raises Refused, with every reason at once, when the adapter is more than deltas s*B*A of linear
    layers; BadInput when it is not there, damaged, or another tool's.

    >>> math = superpose.load("runs/math")  # doctest: +SKIP
    """
    path, given = locate(name), called(name)
    if path.is_file():
        return _read_file(path, given)
    return read_peft(path, given=given, ignore_keys=ignore_keys)  # or says what it is


def _read_file(path: Path, given: str) -> Adapter:
    """Read an adapter that is one file: its ending tells the format."""
    raise Refused("is a file; superpose reads PEFT folders", where=given)


def check_output(
    path: str | os.PathLike[str], *, dtype: str | None = None, force: bool = False
) -> None:
    """Raise what `save` would raise for these options; ask before a long computation.

    OutputExists when it could not write to `path`, BadInput for a dtype that is none.
    """
    if dtype is not None:
        checked_dtype(dtype)
    check_free(Path(path), force=force, replaceable=REPLACEABLE)


def save(
    adapter: Adapter,
    path: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    compact: bool = False,
    force: bool = False,
    figures: Mapping[str, float] | None = None,
) -> Written:
    """Write an adapter as a PEFT folder that PEFT, vLLM and llama.cpp read alike.

    dtype: "float32", "float16", "bfloat16" or "float64"; None is the narrowest that holds every
    parent's factors. compact: each module keeps its own rank, which PEFT alone reads; otherwise
    smaller modules are padded with zeros. force: replace an adapter at `path`. figures: more
    numbers for the model card.

    Raises OutputExists before any work is done; BadInput when a value is too large for the dtype or
    the disk does not take the file. Nothing is left behind then.

    >>> superpose.save(math + 0.5 * medicine, "both")  # doctest: +SKIP
    """
    return write_peft(adapter, path, dtype=dtype, compact=compact, force=force, figures=figures)
