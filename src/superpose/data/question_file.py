"""A question file's records: JSON Lines, a JSON array, or a table of cells (CSV, TSV)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from superpose.errors import BadInput
from superpose.files.text import with_an_end

__all__ = ["ENDINGS", "records_of"]

LONGEST = 1_000_000
"""Characters of a row: a book is as long, and making tokens of a hundred times that takes 12 GB."""

_TABLES = {".csv": ",;\t", ".tsv": "\t"}
"""Ending -> what may stand between cells; of several that which the header has most of."""

ENDINGS = (".jsonl", ".json", *_TABLES)
"""How question files end; what ends otherwise is read as JSON Lines."""


def records_of(path: Path) -> Iterator[tuple[object, str]]:
    """Give each record of a file, and where it stands, for messages.

    A `.csv` or `.tsv` file has a header; its records are mappings of texts. A `.json` file that
    begins with `[` is an array; whatever else there is has one JSON value on a line.

    Raises BadInput, naming the line, for what is malformed or longer than LONGEST.
    """
    text = _text(path)
    if path.suffix in _TABLES:
        yield from _of_table(text, path)
    elif path.suffix == ".json" and text.lstrip().startswith("["):
        yield from _of_array(text, path)
    else:
        yield from _of_lines(text, path)


def _text(path: Path) -> str:
    try:
        # As it is: a cell may hold line breaks of its own.
        return with_an_end(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"it is not UTF-8 text (byte {error.start})", where=path) from None
    except OSError as error:
        raise BadInput(f"it cannot be read: {error.strerror}", where=path) from None


def _of_lines(text: str, path: Path) -> Iterator[tuple[object, str]]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{path}, line {number}"
            _check_length(len(line), where)
            with _json(where):
                record = json.loads(line)
            yield record, where


def _of_array(text: str, path: Path) -> Iterator[tuple[object, str]]:
    """Give the elements of an array one by one, so that each has its line and its length."""
    decoder, at, line = json.JSONDecoder(), text.index("[") + 1, 1
    counted, first = 0, True
    while True:
        at = _past_space(text, at)
        if text[at : at + 1] == "]" and first:
            break
        line, counted = line + text.count("\n", counted, at), at
        where = f"{path}, line {line}"
        with _json(where):
            record, end = decoder.raw_decode(text, at)
        _check_length(end - at, where)
        yield record, where
        at, first = _past_space(text, end), False
        if text[at : at + 1] != ",":
            break
        at += 1
    if text[at : at + 1] != "]" or text[at + 1 :].strip():
        line += text.count("\n", counted, at)
        wrong = "text behind the array" if text[at : at + 1] == "]" else "no `,` or `]` here"
        raise BadInput(f"not a JSON array: {wrong}", where=f"{path}, line {line}")


def _past_space(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def _of_table(text: str, path: Path) -> Iterator[tuple[object, str]]:
    header = text.partition("\n")[0]
    between = max(_TABLES[path.suffix], key=header.count)
    with _longest_cell():
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=between, strict=True)
        columns: Sequence[str] = ()
        while True:
            where = f"{path}, line {reader.line_num + 1}"
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise BadInput(f"no table of cells: {error}", where=where) from None
            if cells is None:
                return
            if not columns:
                columns = _header(cells, where)
            elif any(cell.strip() for cell in cells):
                _check_length(sum(map(len, cells)), where)
                if len(cells) != len(columns):
                    raise BadInput(
                        f"{len(cells)} cells, and the header has {len(columns)}", where=where
                    )
                yield dict(zip(columns, cells, strict=True)), where


def _header(cells: Sequence[str], where: str) -> list[str]:
    columns = [cell.strip() for cell in cells]
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        raise BadInput(f"the header names the column {twice[0]!r} twice", where=where)
    return columns


@contextmanager
def _longest_cell() -> Iterator[None]:
    """Let a cell be as long as a row may be: the limit of `csv` is 131,072, and one for all."""
    before = csv.field_size_limit(LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


@contextmanager
def _json(where: str) -> Iterator[None]:
    try:
        yield
    except json.JSONDecodeError as error:
        raise BadInput(f"not a JSON object: {error.msg}", where=where) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, endless brackets
        raise BadInput("not a JSON object of a sensible size", where=where) from None


def _check_length(length: int, where: str) -> None:
    if length > LONGEST:
        raise BadInput(
            f"a row of {length:,} characters, more than {LONGEST:,}",
            where=where,
            hint="One question and its answer stand in a row; shorten what is longer.",
        )
