"""Question rows as a verb takes them: files, hub data sets or rows in memory, one set a domain."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from superpose.data.domain import Row, read_rows, rows_of, sample_rows
from superpose.data.prompt import Example, Prompt
from superpose.data.question_file import ENDINGS
from superpose.errors import BadSetting, placed
from superpose.files.checksum import sha256
from superpose.shown.words import counted
from superpose.verbs.notes import note

if TYPE_CHECKING:
    from superpose.verbs.settings import Questions

__all__ = [
    "Data",
    "DomainRows",
    "Source",
    "drawn_rows",
    "encoded",
    "read_domains",
    "read_one_domain",
]

Source: TypeAlias = str | os.PathLike[str] | Sequence[Row | Mapping[str, Any]]

Data: TypeAlias = Sequence[Source] | Mapping[str, Source]
"""One source a domain, named by its file, or under names of one's own."""


@dataclass(frozen=True)
class DomainRows:
    """A domain's rows, and where they are from.

    source: as it was given; None for rows in memory.
    """

    name: str
    source: str | None
    rows: tuple[Row, ...]

    @property
    def fingerprint(self) -> str:
        """The start of the file's SHA-256; empty where there is no file."""
        path = None if self.source is None else Path(self.source)
        return sha256(path)[:12] if path is not None and path.is_file() else ""


def read_domains(data: Data, questions: Questions) -> list[DomainRows]:
    """Read each domain's rows: a name is the file's without its ending, told apart where two agree.

    Raises as `read_rows` does, and for rows in memory as for those of a file.
    """
    if isinstance(data, str | os.PathLike):
        data = [data]
    if not isinstance(data, Iterable):
        raise BadSetting(f"{data!r} is no list of question files or rows", where="data")
    given: list[tuple[str | None, Source]]
    given = list(data.items()) if isinstance(data, Mapping) else [(None, s) for s in data]
    found: dict[str, DomainRows] = {}
    for position, (name, source) in enumerate(given):
        columns = {name: getattr(questions, name) for name in ("question", "answer", "choices")}
        if questions.unanswered and not questions.answer:
            columns |= {"answer": None, "choices": ""}
        if isinstance(source, str | os.PathLike):
            text = os.fspath(source)
            rows = read_rows(source, **columns)
            name = name or _stem(text) or text
        else:
            if not isinstance(source, Iterable):
                raise BadSetting(f"{source!r} is no question file and no rows", where="data")
            text = None
            rows = rows_of(source, **columns, where=name or f"rows {position + 1}")
            name = name or f"domain {position + 1}"
        if name in found:
            name = text or f"{name} ({position + 1})"
        found[name] = DomainRows(name, text, tuple(rows))
    return list(found.values())


def read_one_domain(data: Source | Data, questions: Questions) -> list[DomainRows]:
    """Read rows that belong together, source by source: a file that stands twice is read twice.

    data: one source, several, or rows in memory. Raises as `read_domains` does.
    """
    return [domain for source in _each(data) for domain in read_domains(source, questions)]


def _stem(source: str) -> str:
    """A file's name without its ending; a data set's name may have a full stop of its own."""
    path = Path(source)
    return path.stem if path.suffix in ENDINGS else path.name


def _each(data: Source | Data) -> list[Data]:
    if isinstance(data, Mapping):
        return [{name: source} for name, source in data.items()]
    if isinstance(data, str | os.PathLike):
        return [[data]]
    if not isinstance(data, Iterable):
        raise BadSetting(f"{data!r} is no list of question files or rows", where="data")
    rows = [given for given in data if isinstance(given, Row | Mapping)]
    sources = [given for given in data if not isinstance(given, Row | Mapping)]
    return [*([rows] for _ in rows[:1]), *([source] for source in sources)]


def encoded(
    name: str, rows: Sequence[Row], prompt: Prompt, count: int | None = None, seed: int = 0
) -> list[Example]:
    """Up to so many rows as tokens, drawn by seed; says how many do not fit, are cut, or lack.

    Raises BadInput where none fits.
    """
    return prompt.encode_all(drawn_rows(name, rows, prompt, count, seed), name)


def drawn_rows(
    name: str, rows: Sequence[Row], prompt: Prompt, count: int | None = None, seed: int = 0
) -> list[Row]:
    """Up to so many of the rows that fit, drawn by seed; says as `encoded` does what is lacking."""
    with placed(name):
        fitting = prompt.fitting(rows)
    found = sample_rows(fitting, count, seed=seed, where=name)
    limit = f"at {prompt.max_tokens} tokens"
    if left_out := len(rows) - len(fitting):
        note("note", f"{name}: {left_out} of {len(rows)} rows left no room for an answer {limit}")
    if cut := sum(example.cut for example in prompt.encode_all(found, name)):
        note("note", f"{name}: {cut} of {len(found)} answers are cut {limit}")
    if count is not None and len(found) < count:
        note("note", f"{name}: {counted(len(found), 'row')}, all that fit, of up to {count:,}")
    return found
