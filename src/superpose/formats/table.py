"""All formats, in the order in which a file is asked which of them it is.

What a format needs is imported when it is asked for: `superpose check` would pay for it at every
start.
"""

from __future__ import annotations

from pathlib import Path

from superpose.adapter import Adapter
from superpose.errors import BadInput
from superpose.files import check_free
from superpose.files.file_format import DIFFUSERS, GGUF, KOHYA, LLAMA_CPP, PEFT, FileFormat
from superpose.files.header import Header
from superpose.formats.foreign import CONFIG, header_of, holds_peft
from superpose.formats.format import Format, Output, Source
from superpose.formats.peft import REPLACEABLE
from superpose.formats.shared_form.mark import is_shared_form, refused_as_adapter
from superpose.formats.written import Written

_BASES_NAMES = frozenset({PEFT.name, GGUF.name, LLAMA_CPP.name})


def _check_dtype(out: Output) -> None:
    from superpose.formats.folded import checked_dtype

    if out.dtype is not None:
        checked_dtype(out.dtype)


def _is_gguf(path: Path, header: Header | None) -> bool:
    return path.suffix == GGUF.ending


def _read_gguf(source: Source) -> Adapter:
    from superpose.formats.gguf import read_gguf

    return read_gguf(source.path, given=source.given, base=source.base)


def _check_gguf(out: Output) -> None:
    from superpose.formats.gguf import check_gguf_output

    if out.compact:
        raise BadInput("a GGUF adapter has one rank for all modules", where="compact")
    check_gguf_output(out.path, dtype=out.dtype, force=out.force)


def _write_gguf(adapter: Adapter, out: Output) -> Written:
    from superpose.formats.gguf import write_gguf

    return write_gguf(adapter, out.path, base=out.base, dtype=out.dtype, force=out.force)


def _is_peft(path: Path, header: Header | None) -> bool:
    """Say whether a file is a PEFT folder's: without a configuration it may be an image model's."""
    if header is None or not holds_peft(header):
        return False
    if (path.parent / CONFIG).exists():
        return True
    from superpose.formats.image.one_file import is_image_model

    return not is_image_model(header)


def _read_peft(source: Source) -> Adapter:
    from superpose.formats.peft.read import read_peft

    weights = source.path if source.path.is_file() else None
    return read_peft(
        source.path if weights is None else source.path.parent,
        given=source.given,
        ignore_keys=source.ignore_keys,
        dora=source.dora,
        weights=weights,
    )


def _check_peft(out: Output) -> None:
    if not PEFT.takes(out.path):
        raise BadInput(
            "a PEFT adapter is a folder, not a file", where=out.path, hint="Give a folder."
        )
    _check_dtype(out)
    check_free(out.path, force=out.force, replaceable=REPLACEABLE)


def _write_peft(adapter: Adapter, out: Output) -> Written:
    if adapter.format == LLAMA_CPP.name:
        from superpose.formats.gguf import given_base, to_transformers

        adapter = to_transformers(adapter, given_base(adapter, out.base))
    from superpose.formats.peft.write import write_peft

    return write_peft(
        adapter,
        out.path,
        dtype=out.dtype,
        compact=out.compact,
        force=out.force,
        for_vllm=out.engine == "vllm",
    )


def _is_image(path: Path, header: Header | None) -> bool:
    return path.suffix == KOHYA.ending and not _is_peft(path, header)


def _read_image(source: Source) -> Adapter:
    """Read kohya's file or diffusers': the names in it tell which."""
    from superpose.formats.image import read_image

    return read_image(source.path, given=source.given, ignore_keys=source.ignore_keys)


def _write_image(adapter: Adapter, out: Output) -> Written:
    from superpose.formats.image import write_image

    return write_image(
        adapter, out.path, dtype=out.dtype, compact=out.compact, force=out.force
    )  # fmt: skip


def _image(file: FileFormat, *companions: str) -> Format:
    def check(out: Output) -> None:
        from superpose.formats.image import check_image_output

        _check_dtype(out)
        check_image_output(out.path, file.name, force=out.force)

    return Format(
        file,
        "an image LoRA",
        frozenset({file.name}),
        _is_image,
        _read_image,
        check,
        _write_image,
        companions=frozenset(companions),
    )


FORMATS = (
    Format(
        GGUF,
        "a GGUF LoRA",
        _BASES_NAMES,
        _is_gguf,
        _read_gguf,
        _check_gguf,
        _write_gguf,
        engines=("llama.cpp",),
        extra="gguf",
    ),
    Format(
        PEFT,
        "a PEFT adapter",
        _BASES_NAMES,
        _is_peft,
        _read_peft,
        _check_peft,
        _write_peft,
        engines=("peft", "vllm"),
        companions=REPLACEABLE - {*PEFT.folder},
    ),
    _image(KOHYA),
    _image(DIFFUSERS, "README.md"),
)

FOLDER = next(one for one in FORMATS if one.file is PEFT)
"""What a folder is taken for that stands for no single file."""

ENGINES = tuple(dict.fromkeys(engine for one in (FOLDER, *FORMATS) for engine in one.engines))
"""What an adapter can be written for."""


def format_of(path: Path) -> Format:
    """Give the format of what `locate` found. A file's header is read once for all that ask.

    Raises BadInput for the shared form of several adapters, which is none itself.
    """
    if not path.is_file():
        return FOLDER
    header = header_of(path)
    if is_shared_form(header):
        raise refused_as_adapter(path)
    return next((one for one in FORMATS if one.is_one(path, header)), FOLDER)


def engines_of(path: Path) -> frozenset[str]:
    """Give the engines that read what is written to `path`, of adapters that engines read."""
    return frozenset(e for one in FORMATS if one.file.takes(path) for e in one.engines)


def format_in(name: str | None, path: Path) -> tuple[Format, ...]:
    """Give the formats in which an adapter can be written to `path`, or one that tells why none.

    name: its `Adapter.format`; None where it is not known yet.

    Raises BadInput for a name that there is not.
    """
    holders = [one for one in FORMATS if name is None or name in one.holds]
    if not holders:
        known = sorted(set().union(*(one.holds for one in FORMATS)))
        raise BadInput(f"{name!r} is no format; there are {', '.join(known)}", where="format")
    return tuple(one for one in holders if one.file.takes(path)) or (holders[-1],)
