"""The two doors of the package: `load` a name, `save` an adapter.

Neither knows a format: `formats.table` has them all.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from superpose.adapter import Adapter
from superpose.adapter.beside import tell_of_trained
from superpose.arguments import typed
from superpose.errors import BadInput, BadSetting, SuperposeError
from superpose.files import called, is_here, locate
from superpose.formats.format import Format, Output, Source
from superpose.formats.table import ENGINES, FORMATS, engines_of, format_in, format_of
from superpose.formats.written import Written

Name: TypeAlias = str | os.PathLike[str]
"""Of an adapter; `locate` says what is none."""


@typed
def load(
    name: Name,
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
    kind = format_of(path)
    found = kind.read(Source(path, given, base, ignore_keys, dora))  # or says why not
    # Of a file that was named the folder may be anybody's; PEFT's and diffusers' are their own.
    beside = beside and (is_here(given) or not kind.file.ending)
    if not beside:
        return found
    from superpose.formats.beside import find_beside

    return replace(found, beside=find_beside(given, path))


def check_output(
    path: str | os.PathLike[str],
    *,
    adapter_format: str | None = None,
    engine: str | None = None,
    dtype: str | None = None,
    compact: bool = False,
    force: bool = False,
) -> None:
    """Raise what `save` would raise for these options; ask before a long computation.

    adapter_format: the `Adapter.format` of what will be saved, which decides where it may go; None
    while it is not known, and then what no format could do is refused.

    OutputExists when it could not write to `path`, BadInput or Refused for a dtype that is none, or
    a path that is none for the engine or the format; MissingExtra without what writing needs.
    """
    out = Output(Path(path), engine=engine, dtype=dtype, compact=compact, force=force)
    _format_for(out, adapter_format, path)


@typed
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
    out = Output(Path(path), engine, base, dtype, compact, force)
    kind = _format_for(out, adapter.format, adapter.label)
    _check_base(base)
    from superpose.formats.expanded import with_factors  # who reads alone does not pay for it

    tell_of_trained(adapter.beside, "which is not in what is written")
    return kind.write(with_factors(adapter), out)


def _format_for(out: Output, name: str | None, where: object) -> Format:
    """Give the format in which an adapter is written; raises as `check_output`.

    name: its `Adapter.format`, None where it is not known. where: what it is called.
    """
    _check_engine(out)
    problems: list[SuperposeError] = []
    for kind in format_in(name, out.path):
        if out.engine is not None and not kind.engines:
            raise BadInput(f"{kind.title} is nothing for {out.engine}", where=where)
        try:
            kind.check(out)
        except SuperposeError as problem:
            problems.append(problem)
        else:
            return kind
    raise problems[0]


def _check_base(base: str | os.PathLike[str] | None) -> None:
    """Raise for what is no base model's name, though nothing may need it."""
    if base is None:
        return
    from superpose.files.base import check_base

    check_base(base)


def _check_engine(out: Output) -> None:
    """Raise BadInput for an engine that there is not, or that reads no such file."""
    engine = out.engine
    if engine is None:
        return
    if engine not in ENGINES:
        raise BadSetting(f"{engine!r} is no engine; there are {', '.join(ENGINES)}", where="engine")
    read = engines_of(out.path)
    if engine in read or not read:  # what no engine reads is told by the format
        return
    ending = next(kind.file.endings[0] for kind in FORMATS if engine in kind.engines)
    hint = f"Give a name that ends in {ending}." if ending else "Give a folder."
    raise BadInput(f"is not what {engine} reads", where=out.path, hint=hint)
