"""The two doors of the package: `load` a name, `save` an adapter.

What a PEFT folder does not need is imported when another format is asked for: `superpose check`
would pay for it at every start.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from superpose.adapter import Adapter
from superpose.adapter.beside import tell_of_trained
from superpose.adapter.image_marks import IMAGE_FORMATS
from superpose.errors import BadInput
from superpose.files import called, check_free, check_free_file, is_here, locate
from superpose.files.hub import DIFFUSERS
from superpose.formats.expanded import with_factors
from superpose.formats.foreign import CONFIG, holds_peft
from superpose.formats.peft import REPLACEABLE, Written, checked_dtype, read_peft, write_peft

ENGINES = ("peft", "vllm", "llama.cpp")
"""What an adapter can be written for."""

GGUF = ".gguf"
"""How the name of a llama.cpp adapter ends."""

IMAGE = ".safetensors"
"""How the name of an image LoRA ends, kohya's or diffusers'."""


def load(
    name: str | os.PathLike[str],
    *,
    base: str | os.PathLike[str] | None = None,
    ignore_keys: Collection[str] = (),
    dora: bool = False,
    beside: bool = True,
) -> Adapter:
    """Read an adapter from a PEFT folder, a file or, by its name, from the Hugging Face hub.

    name: a path, `org/name`, `org/name/folder@revision` or an address of the hub; what exists
    here wins. A file is a GGUF LoRA (.gguf), or one of kohya's or diffusers' (.safetensors).
    base: the base model, for a GGUF file alone: its folder, its own GGUF file, `smollm2` or a hub
    name, of which no more than the configuration is read. Without it an adapter whose rows
    llama.cpp reorders by heads stays under llama.cpp's names, where neither the file nor this
    machine tells them. ignore_keys: keys of the configuration that superpose does not know and that
    you know not to touch the weights. dora: let DoRA adapters pass, whose weights become
    replacements that only the base model tells. beside: look at what lies beside it as well, for
    `Adapter.beside`; of the hub the names of a repository's files are asked for.

    Raises Refused, with every reason at once, when the adapter is more than deltas s*B*A of linear
    layers; BadInput when it is not there, damaged, or another tool's; MissingBase for a base that
    is not there.

    >>> math = superpose.load("runs/math")  # doctest: +SKIP
    """
    _check_base(base)
    path, given = locate(name), called(name)
    if path.is_file():
        found = _read_file(path, given, base, ignore_keys, dora)
        # Of a file that was named the folder may be anybody's; PEFT's and diffusers' are their own.
        beside = beside and (is_here(given) or found.format == "peft")
    else:
        found = read_peft(path, given=given, ignore_keys=ignore_keys, dora=dora)  # or says why not
    if not beside:
        return found
    from superpose.formats.beside import find_beside

    return replace(found, beside=find_beside(given, path))


def _read_file(
    path: Path,
    given: str,
    base: str | os.PathLike[str] | None,
    ignore_keys: Collection[str],
    dora: bool,
) -> Adapter:
    """Read an adapter that is one file: its ending, or the names in it, tell the format."""
    if path.suffix == GGUF:
        from superpose.formats.gguf import read_gguf

        return read_gguf(path, given=given, base=base)
    if holds_peft(path) and not _is_image(path):
        return read_peft(path.parent, given=given, ignore_keys=ignore_keys, dora=dora, weights=path)
    from superpose.formats.image import read_image

    return read_image(path, given=given, ignore_keys=ignore_keys)


def _is_image(path: Path) -> bool:
    """Say whether weights of PEFT's names without a configuration are an image model's."""
    if (path.parent / CONFIG).exists():
        return False
    from superpose.formats.image.one_file import is_image_model

    return is_image_model(path)


def check_output(
    path: str | os.PathLike[str],
    *,
    engine: str | None = None,
    dtype: str | None = None,
    force: bool = False,
) -> None:
    """Raise what `save` would raise for these options; ask before a long computation.

    OutputExists when it could not write to `path`, BadInput for a dtype that is none, or a path
    that is none for the engine.
    """
    _check_engine(engine, path)
    if Path(path).suffix == GGUF:
        from superpose.formats.gguf import check_gguf_output

        check_gguf_output(path, dtype=dtype, force=force)
        return
    if dtype is not None:
        checked_dtype(dtype)
    if Path(path).suffix == IMAGE:
        check_free_file(Path(path), force=force)
    else:
        check_free(Path(path), force=force, replaceable=REPLACEABLE | {DIFFUSERS})


def save(
    adapter: Adapter,
    path: str | os.PathLike[str],
    *,
    engine: str | None = None,
    base: str | os.PathLike[str] | None = None,
    dtype: str | None = None,
    compact: bool = False,
    force: bool = False,
) -> Written:
    """Write an adapter as a PEFT folder that PEFT, vLLM and llama.cpp read alike, or as GGUF.

    An image LoRA is written as one, in the format and the spelling that it came in.

    path: a folder; a name that ends in .gguf is a GGUF LoRA file, for llama.cpp alone, one that
    ends in .safetensors an image LoRA. engine: "peft"; "vllm": with the least rank of vLLM's list
    that is enough, and nothing in it that vLLM does not serve; "llama.cpp": GGUF; None is what the
    path says. base: the base model, as for `load`, which GGUF needs where the adapter's own is not
    on this machine. dtype: "float32", "float16", "bfloat16" or "float64"; None is the narrowest
    that holds every parent's factors, for GGUF float32. compact: each module keeps its own rank,
    which PEFT alone reads; otherwise smaller modules are padded with zeros. force: replace an
    adapter at `path`.

    Raises OutputExists before any work is done; BadInput when a value is too large for the dtype or
    the disk does not take the file; Refused, with every reason, for what GGUF cannot hold, and
    MissingBase and MissingExtra for what writing it needs. Nothing is left behind then.

    >>> superpose.save(math + 0.5 * medicine, "both")  # doctest: +SKIP
    """
    _check_engine(engine, path)
    _check_base(base)
    tell_of_trained(adapter.beside, "which is not in what is written")
    adapter = with_factors(adapter)
    if adapter.format in IMAGE_FORMATS:
        if engine is not None:
            raise BadInput(f"an image LoRA is nothing for {engine}", where=adapter.label)
        from superpose.formats.image import write_image

        return write_image(adapter, path, dtype=dtype, compact=compact, force=force)
    if Path(path).suffix == IMAGE:
        raise BadInput("a PEFT adapter is a folder, not a file", where=path, hint="Give a folder.")
    if Path(path).suffix == GGUF:
        from superpose.formats.gguf import write_gguf

        if compact:
            raise BadInput("a GGUF adapter has one rank for all modules", where="compact")
        return write_gguf(adapter, path, base=base, dtype=dtype, force=force)
    if adapter.format == "llama.cpp":
        from superpose.formats.gguf import given_base, to_transformers

        adapter = to_transformers(adapter, given_base(adapter, base))
    return write_peft(
        adapter,
        path,
        dtype=dtype,
        compact=compact,
        force=force,
        for_vllm=engine == "vllm",
    )


def _check_base(base: str | os.PathLike[str] | None) -> None:
    """Raise MissingBase for a base model's name that means nothing, though nothing may need it."""
    if base is None:
        return
    from superpose.files.base import read_base_name

    read_base_name(base)


def _check_engine(engine: str | None, path: str | os.PathLike[str]) -> None:
    """Raise BadInput for an engine that there is not, or that reads no such file."""
    if engine is None:
        return
    if engine not in ENGINES:
        raise BadInput(f"{engine!r} is no engine; there are {', '.join(ENGINES)}", where="--for")
    ending = Path(path).suffix
    if (engine == "llama.cpp") != (ending == GGUF):
        hint = "Give a name that ends in .gguf." if engine == "llama.cpp" else "Give a folder."
        raise BadInput(f"is not what {engine} reads", where=path, hint=hint)
