"""What a format is to those who read and write adapters, whichever it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from superpose.adapter import Adapter
from superpose.files.file_format import FileFormat
from superpose.files.header import Header
from superpose.formats.written import Written


@dataclass(frozen=True)
class Source:
    """What is to be read, as `load` was told. path: a folder or a file, given: its name."""

    path: Path
    given: str
    base: str | os.PathLike[str] | None = None
    ignore_keys: Collection[str] = ()
    dora: bool = False


@dataclass(frozen=True)
class Output:
    """What is to be written and how, as `save` was told."""

    path: Path
    engine: str | None = None
    base: str | os.PathLike[str] | None = None
    dtype: str | None = None
    compact: bool = False
    force: bool = False


@dataclass(frozen=True)
class Format:
    """One format of adapters on disk.

    file: what its files are called. title: what one adapter of it is. holds: values of
    `Adapter.format` that can be written in it. engines: what an adapter may be written for that
    read it. companions: files that may lie beside one in a folder and are its own: they are sent
    with it. is_one: whether a file (its path, and what safetensors announces) is one. read: raises
    as `load`. check: raise what `write` would raise for these options, before any work; also for a
    path that is none of the format's. write: raises as `save`. extra: of superpose that writing
    needs.
    """

    file: FileFormat
    title: str
    holds: frozenset[str]
    is_one: Callable[[Path, Header | None], bool]
    read: Callable[[Source], Adapter]
    check: Callable[[Output], None]
    write: Callable[[Adapter, Output], Written]
    engines: tuple[str, ...] = ()
    companions: frozenset[str] = field(default=frozenset())
    extra: str | None = None
