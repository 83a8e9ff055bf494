"""The ordinary adapters that one file holds in one basis."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.shown import Column, Framed, Line, Part, Shown, Table
from superpose.verbs.adapter_folders import (
    check_folder_of_adapters,
    folder_of_adapters,
    output_names,
    write_ordinary,
)
from superpose.verbs.progress import Progress

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.formats.shared_form.rounding import SharedForm

__all__ = ["Expanded", "expand"]

_COLUMNS = (
    Column("adapter", lambda one: one.name),  # which is a mapping, of deltas
    Column("rank", lambda one: one.rank, "d"),
    Column("modules", len, ",d"),
    Column("how it was made", lambda one: str(one.made), prose=True),
)


@dataclass(frozen=True, eq=False)
class Expanded(Framed, Shown):
    """Ordinary adapters. names: in `out`, the folder that they were written to; None in memory."""

    TABLE: ClassVar[str] = "adapters"

    adapters: tuple[Adapter, ...]
    names: tuple[str, ...]
    out: Path | None

    def to_json(self) -> dict[str, Any]:
        """Give what `superpose expand --json` prints."""
        return {
            "output": None if self.out is None else str(self.out),
            "adapters": [
                {"name": one.name, "output": name, "rank": one.rank, "module_count": len(one),
                 "made": one.made.to_json()}
                for one, name in zip(self.adapters, self.names, strict=True)
            ],
        }  # fmt: skip

    def shown(self) -> tuple[Part, ...]:
        """Give what was written, and how each was made."""
        first = [] if self.out is None else [Line(str(self.out), "wrote", whole=True)]
        return (*first, Table.of("Ordinary adapters", _COLUMNS, self.adapters))


@typed
def expand(
    file: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    only: Sequence[str] = (),
    progress: Progress | None = None,
) -> Expanded:
    """Make the ordinary adapters of what `superpose.compress` wrote as the shared form.

    To the bit what it wrote, or would have written, as ordinary adapters. file: the
    `shared.safetensors`, or its folder. out: a folder, which gets a folder for each; None keeps
    them in memory. only: some of them, by their names there.

    Raises BadInput for a file that is none, damaged or of another version, BadSetting for a name
    that it does not hold, OutputExists where something stands at out, and as `superpose.save`.
    """
    from superpose.formats.shared_form.mark import FILE
    from superpose.formats.shared_form.reading import read_shared_form

    if out is not None:
        check_folder_of_adapters(out)
    path = Path(file)
    found = read_shared_form(path / FILE if path.is_dir() else path)
    form, names = _chosen(found, only)
    if out is not None:
        with folder_of_adapters(out) as folder:
            write_ordinary(form, names, folder, progress)
    adapters = tuple(member.adapter for member in form.members)
    return Expanded(adapters, names, None if out is None else Path(out))


def _chosen(form: SharedForm, only: Sequence[str]) -> tuple[SharedForm, tuple[str, ...]]:
    names = output_names([member.adapter for member in form.members])
    if unknown := [name for name in only if name not in names]:
        raise BadSetting(
            f"there is no `{unknown[0]}` in it", where="only", hint=f"It holds {', '.join(names)}."
        )
    kept = [at for at, name in enumerate(names) if not only or name in only]
    members = tuple(form.members[at] for at in kept)
    return replace(form, members=members), tuple(names[at] for at in kept)
