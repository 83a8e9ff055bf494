"""Several adapters written into one folder, each under a name of its own."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from superpose.errors import OutputExists
from superpose.verbs.progress import Progress

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.formats.shared_form.rounding import SharedForm

__all__ = [
    "REPORT",
    "check_folder_of_adapters",
    "folder_names",
    "folder_of_adapters",
    "output_names",
    "weights_bytes",
    "write_ordinary",
]

REPORT = "compression.json"
"""What `superpose compress` found, beside what it wrote."""

_LONGEST = 80


def folder_names(names: Sequence[str]) -> tuple[str, ...]:
    """Give each adapter the name of its folder: one that any system takes, and no name twice.

    >>> folder_names(["math", "Math", "org/law: v2"])
    ('math', 'Math-2', 'org_law_v2')
    """
    from superpose.formats.shared_form.mark import FILE

    taken = {REPORT, FILE, Path(FILE).stem}
    found = []
    for name in names:
        plain = re.sub(r"[^\w.+-]+", "_", name).strip("._")[:_LONGEST] or "adapter"
        one, count = plain, 1
        while one.lower() in taken:
            count += 1
            one = f"{plain}-{count}"
        taken.add(one.lower())
        found.append(one)
    return tuple(found)


def output_names(adapters: Sequence[Adapter]) -> tuple[str, ...]:
    """Give what each adapter is called in the folder: a folder's name, or an image LoRA's file."""
    from superpose.formats.table import FOLDER, FORMATS

    names = folder_names([adapter.name for adapter in adapters])
    endings = {name: kind.file.endings[0] for kind in FORMATS for name in kind.holds}
    return tuple(
        name if one.format in FOLDER.holds else f"{name}{endings[one.format]}"
        for name, one in zip(names, adapters, strict=True)
    )


def folder_of_adapters(
    out: str | os.PathLike[str], *, force: bool = False
) -> AbstractContextManager[Path]:
    """Give a folder to write into that becomes `out` when the block ends without error.

    force: what an earlier `superpose compress` left there is replaced, and nothing else. Raises as
    `files.new_folder`.
    """
    from superpose.files import new_folder

    return new_folder(Path(out), force=force, replaceable=_replaceable(out) if force else ())


def check_folder_of_adapters(out: str | os.PathLike[str], *, force: bool = False) -> None:
    """Raise what `folder_of_adapters` would, before a long computation."""
    from superpose.files import check_free

    check_free(Path(out), force=force, replaceable=_replaceable(out) if force else ())


def write_ordinary(
    form: SharedForm, names: Sequence[str], folder: Path | None, progress: Progress | None = None
) -> int:
    """Write the ordinary adapters of a shared form, and give the bytes of their weights' files.

    names: of `output_names`. folder: where; None measures each of them in a place for the moment.
    """
    from superpose.formats import save

    count = 0
    for done, (member, name) in enumerate(zip(form.members, names, strict=True)):
        if progress is not None:
            progress(done, len(names), "write adapters")
        with tempfile.TemporaryDirectory() as moment:
            target = (Path(moment) if folder is None else folder) / name
            save(member.adapter, target, dtype=form.dtype, compact=form.compact)
            count += weights_bytes(str(target)) or 0
    if progress is not None:
        progress(len(names), len(names), "write adapters")
    return count


def weights_bytes(path: str | None) -> int | None:
    """Give how long the files of an adapter's weights are; None where they are on no disk.

    path: a folder or a file.
    """
    from superpose.files.file_format import weights_pattern

    if path is None or not Path(path).exists():
        return None
    if Path(path).is_file():
        return Path(path).stat().st_size
    own = re.compile(weights_pattern())
    return sum(file.stat().st_size for file in Path(path).iterdir() if own.fullmatch(file.name))


def _replaceable(out: str | os.PathLike[str]) -> set[str]:
    """Give the names in a folder that an earlier run wrote.

    Raises OutputExists where one of them holds more than an adapter.
    """
    from superpose.files.json_values import read_json
    from superpose.formats.peft import REPLACEABLE
    from superpose.formats.shared_form.mark import FILE

    report = Path(out) / REPORT
    if not report.is_file():
        return set()
    told = read_json(report).get("adapters", [])
    names = {str(one.get("output")) for one in told if isinstance(one, dict)}
    for name in names:
        here = Path(out) / name
        held = {entry.name for entry in here.iterdir()} if here.is_dir() else set()
        if others := sorted(held - REPLACEABLE):
            raise OutputExists(
                f"holds other things than an adapter ({', '.join(others[:5])}); nothing was "
                "written",
                where=here,
                hint="Replacing it would delete them: give another output folder.",
            )
    return {*names, REPORT, FILE}
