"""An index as those use it who ask something of a library."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from superpose.adapter import Adapter
from superpose.errors import BadInput, SuperposeWarning, placed
from superpose.files import is_here, locate, short_names
from superpose.files.names import is_hub_name
from superpose.formats import load
from superpose.library.entry import LibraryEntry
from superpose.library.finding import stamp_of
from superpose.library.groups import Groups
from superpose.library.sketch import Sketcher
from superpose.library.table import (
    TABLE,
    chosen_rows,
    entries_of,
    matrix_of,
    read_manifest,
    rows_on_disk,
)
from superpose.shown.words import meant

Array: TypeAlias = Any


@dataclass(frozen=True, eq=False)
class Library:
    """The sound adapters of one index. problems: the others, with the reason.

    sketches (N, size), starts (N, 256): by the adapters' positions, over their norms.
    """

    path: Path
    entries: tuple[LibraryEntry, ...]
    problems: tuple[LibraryEntry, ...]
    sketches: Array
    starts: Array
    groups: Groups
    sketcher: Sketcher

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """What each is called in answers: short where that tells it from the others."""
        short = short_names([entry.name for entry in self.entries])
        often: dict[str, int] = {}
        for entry in self.entries:
            often[entry.name] = often.get(entry.name, 0) + 1
        return tuple(
            entry.given if often[entry.name] > 1 else short[entry.name] for entry in self.entries
        )

    @property
    def bases(self) -> dict[str, list[int]]:
        """Positions of the adapters of each base model, in order."""
        found: dict[str, list[int]] = {}
        for at, entry in enumerate(self.entries):
            found.setdefault(entry.base, []).append(at)
        return found

    def adapter(self, at: int) -> Adapter:
        """Read an adapter's deltas, its modules by the names of the library.

        Raises BadInput where it vanished or was changed since it was indexed.
        """
        entry = self.entries[at]
        again = f"Bring the index up to date: superpose index -o {self.path}"
        if is_here(entry.given) or Path(entry.given).exists():
            if stamp_of(Path(entry.given)) != entry.stamp:
                raise BadInput("was changed since it was indexed", where=entry.given, hint=again)
        elif Path(entry.given).is_absolute():
            raise BadInput("vanished since it was indexed", where=entry.given, hint=again)
        with warnings.catch_warnings():  # said when it was indexed
            warnings.simplefilter("ignore", SuperposeWarning)
            return self.groups.brought(entry.base, load(entry.given, beside=False))

    def sketch_of(self, adapter: Adapter) -> tuple[Array, float]:
        """Give the sketch of an adapter under the library's names, over its norm, and the norm."""
        norm = adapter.norm()
        return self.sketcher.of(adapter, norm)[0], norm

    def position(self, adapter: str) -> int | None:
        """Find an adapter by its name in answers, its name in the library, or where it lies.

        Raises BadInput for a name that several have and no place here has, and for one that nothing
        here has and the hub cannot have.
        """
        for names in (
            self.names,
            [entry.name for entry in self.entries],
            [entry.given for entry in self.entries],
        ):
            if names.count(adapter) == 1:
                return list(names).index(adapter)
        if is_here(adapter) or Path(adapter).is_file():
            with suppress(BadInput):  # who loads it says why it is no adapter
                place = locate(adapter)
                given = [entry.given for entry in self.entries]
                for here in (os.path.abspath(place), os.path.realpath(place)):  # noqa: PTH100
                    if here in given:
                        return given.index(here)
            return None
        called = [e.given for e in self.entries if adapter in (e.name, Path(e.name).name)]
        if len(called) > 1:
            raise BadInput(
                f"is what {len(called)} adapters of {self.path} are called",
                where=adapter,
                hint=f"Give the place of one: {' or '.join(called[:4])}",
            )
        if not is_hub_name(adapter):
            raise self._unknown(adapter)
        return None

    def _unknown(self, adapter: str) -> BadInput:
        """Say that a name is nothing here, and what it may be meant to be."""
        for one in self.problems:
            if adapter in (one.name, Path(one.name).name, one.given):
                return BadInput(f"is left out of {self.path}: {one.problem}", where=adapter)
        close = meant(adapter, self.names)
        return BadInput(
            f"is no adapter of {self.path}, and no such folder or file is here",
            where=adapter,
            hint=f"{close}What it holds says superpose index -o {self.path}",
        )


def open_library(index: str | os.PathLike[str], base: str | None = None) -> Library:
    """Open an index. base: the adapters of this base model alone, by its name in the index.

    Raises BadInput where there is none, it is of another version, was not finished, or all of its
    adapters are gone or cannot be read; MissingExtra without pyarrow.
    """
    path = Path(index)
    told = read_manifest(path)
    if not (path / TABLE).is_file():
        raise BadInput(
            "is an index that was not finished",
            where=path,
            hint=f"Go on with it: superpose index -o {path}",
        )
    table, groups = rows_on_disk(path / TABLE, modules=False)
    every = entries_of(table)
    if base is not None and base not in groups.skeletons:
        raise BadInput(
            f"holds no base model `{base}`",
            where=path,
            hint=f"It has {', '.join(groups.skeletons)}",
        )
    rows = [n for n, e in enumerate(every) if e.sound and base in (None, e.base)]
    if not rows:
        raise _nothing_left(path, every)
    sound = chosen_rows(table, rows)
    with placed(path / TABLE):
        sketches, starts = (matrix_of(sound, column) for column in ("sketch", "starts"))
    return Library(
        path,
        tuple(every[row] for row in rows),
        tuple(entry for entry in every if not entry.sound),
        sketches,
        starts,
        groups,
        Sketcher(told["seed"], told["sketch"]),
    )


def _nothing_left(path: Path, every: Sequence[LibraryEntry]) -> BadInput:
    """Say why an index without any adapter that can be used has none."""
    first = f": {every[0].given}: {every[0].problem}" if every else ""
    more = f", and {len(every) - 1:,} more like it" if len(every) > 1 else ""
    return BadInput(
        f"has no adapter that can be used{first}{more}",
        where=path,
        hint=f"Look again, there or elsewhere: superpose index FOLDER -o {path}",
    )


def cosines_of_sketches(library: Library, sketch: Array, among: Sequence[int]) -> Array:
    """Give the estimated cosines of one adapter with some of the library."""
    return library.sketches[np.asarray(among, int)] @ np.asarray(sketch, np.float32)
