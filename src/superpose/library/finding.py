"""Where adapters lie below a folder, and what tells that one is still the same."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from superpose.errors import BadInput, SuperposeError, SuperposeWarning
from superpose.files import is_here, locate, with_home
from superpose.files.checksum import sha256
from superpose.files.file_format import ENDINGS, PEFT
from superpose.files.names import is_hub_name
from superpose.files.text import with_an_end

_CONFIG = PEFT.folder[0]
_HIDDEN = (".", "__")
_OF_A_MODEL = ("model", "diffusion_pytorch_model", "consolidated")
"""What the names of a model's own weights begin with, which are no adapter."""


@dataclass(frozen=True)
class Candidate:
    """What may be an adapter. name: what it is called in the library. given: what `load` takes.

    path: where it lies, None for a hub name that could not be fetched. problem: why not.
    """

    name: str
    given: str
    path: Path | None
    problem: str | None = None


def found_below(sources: Sequence[str], before: Collection[str] = ()) -> list[Candidate]:
    """Give everything below the sources that may be an adapter, each place once, in order.

    sources: folders of adapters, adapters, files, or hub names. Of a folder, every folder below it
    that has an adapter_config.json, checkpoints in a run's folder too, and every file that ends as
    an adapter of one file does and lies in none of these. before: those that an index was made of,
    which may have vanished since: what lay there is then found no more.

    Raises BadInput for another source that is not there and can be no hub name.
    """
    found: dict[str, Candidate] = {}
    for source in sources:
        if source in before and _vanished(source):
            continue
        for one in _of_source(source):
            found.setdefault(one.given if one.path is None else os.path.realpath(one.path), one)
    return list(found.values())


def stamp_of(path: Path) -> str:
    """Give names, sizes and times of an adapter's files: what is looked at before it is read."""
    facts = [(p.name, s.st_size, s.st_mtime_ns) for p in _files(path) for s in (p.stat(),)]
    return ";".join(f"{name} {size} {time}" for name, size, time in facts)


def content_of(path: Path) -> str:
    """Give the SHA-256 of an adapter's content: the names of its files and what they hold."""
    whole = hashlib.sha256()
    for file in _files(path):
        whole.update(f"{file.name if path.is_dir() else file.suffix} {sha256(file)}\n".encode())
    return whole.hexdigest()


def _of_source(source: str) -> Iterator[Candidate]:
    if not is_here(source):
        yield _of_name(source)
        return
    top = with_home(source)
    for place in _below(top):
        relative = place.relative_to(top).as_posix()
        name = relative if relative != "." else Path(os.path.realpath(top)).name
        yield Candidate(name, str(place), place)


def _of_name(source: str) -> Candidate:
    """Give a file or a hub name; what cannot be fetched is listed with its reason."""
    try:
        path = locate(source)
    except SuperposeError as error:
        if not is_hub_name(source):
            raise
        return Candidate(source, source, None, str(error))
    return Candidate(Path(source).name if path == Path(source) else source, source, path)


def _vanished(source: str) -> bool:
    """Say whether what was a path here is no more; other sources are names of the hub."""
    return Path(source).is_absolute() and not Path(source).exists()


def _below(top: Path) -> Iterator[Path]:
    """Give folders and files that may be adapters, by their names in order.

    Folders that are links come last, each place once, so that what lies here goes by its own name.
    """
    if not os.access(top, os.R_OK | os.X_OK):
        raise BadInput("cannot be read", where=top)
    tops, seen = [top], set[str]()
    for each in tops:
        for folder, below, files in os.walk(each):
            place, real = Path(folder), os.path.realpath(folder)
            if real in seen:
                below.clear()
                continue
            seen.add(real)
            names = sorted(name for name in below if not name.startswith(_HIDDEN))
            links = [place / name for name in names if (place / name).is_symlink()]
            tops += [link for link in links if not _leads_above(link, top)]
            below[:] = [name for name in names if place / name not in links]
            if _CONFIG in files:
                yield place
            elif not place.name.endswith(".index"):
                yield from (place / name for name in sorted(files) if _may_be_one(name))


def _leads_above(link: Path, top: Path) -> bool:
    """Say whether a link leads out to a folder that holds `top`, and tell so: `/` is no library."""
    real, own = Path(os.path.realpath(link)), Path(os.path.realpath(top))
    if real == own or not own.is_relative_to(real):
        return False
    warnings.warn(
        f"{link} is a link to {real}, which holds {top}; what else lies there is left out",
        SuperposeWarning,
        stacklevel=2,
    )
    return True


def _may_be_one(name: str) -> bool:
    if not name.endswith(ENDINGS) or name.startswith(_HIDDEN):
        return False
    return not name.startswith(_OF_A_MODEL) or name.endswith("lora_weights.safetensors")


def _files(path: Path) -> list[Path]:
    """Give the files that an adapter is read from; raises BadInput where one has no end."""
    if not path.is_dir():
        return [with_an_end(path)]
    kept = (".safetensors", ".json", ".bin")
    names = (p for p in path.iterdir() if p.suffix in kept and _of_adapter(p.name))
    return sorted(map(with_an_end, names))


def _of_adapter(name: str) -> bool:
    return name.startswith("adapter") or name.endswith("lora_weights.safetensors")
