"""A domain: its questions and answers, read from where they lie and split once.

Rows come from a file (JSON Lines, a JSON array, CSV), here or on the Hugging Face hub, or from a
data set there. The split is seeded and made before anything is trained.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superpose.data.choices import check_choices
from superpose.data.hub_table import data_set, table
from superpose.data.messages import Message
from superpose.data.question_file import ENDINGS, records_of
from superpose.data.record import Columns, fields_of
from superpose.errors import BadInput, placed
from superpose.files.hub import fetch_file
from superpose.files.hub_name import is_hub_address, parse_hub_name
from superpose.files.names import exists

__all__ = [
    "Domain",
    "Row",
    "fingerprint",
    "is_file_name",
    "question_key",
    "read_rows",
    "rows_of",
    "sample_rows",
    "spare_rows",
    "split_rows",
]


@dataclass(frozen=True)
class Row:
    """One question and its answer, as text.

    choices: what is offered to choose from, in their order, the answer among them; none where the
    question is open. messages: of a conversation, of which question and answer are the texts; the
    answer is the last one. tools: JSON of those that it may call. joined: question and answer are
    one text as they stand, white space and all. Raises BadInput for choices that are no choice.
    """

    question: str
    answer: str
    choices: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    tools: str = ""
    joined: bool = False

    def __post_init__(self) -> None:
        check_choices(self.choices, self.answer)


@dataclass(frozen=True)
class Domain:
    """A question-and-answer set under a name, split into training and test rows.

    left_out: rows of its sources whose question leaves the answer no room. calibration: rows that
    are neither trained nor tested on, for a forecast.
    """

    name: str
    train: tuple[Row, ...]
    test: tuple[Row, ...]
    left_out: int = 0
    calibration: tuple[Row, ...] = ()


def read_rows(
    source: str | os.PathLike[str],
    *,
    question: str = "question",
    answer: str | None = "answer",
    choices: str = "choices",
    split: str = "train",
) -> list[Row]:
    """Read the rows of a question file or, where no such file exists, of a hub data set.

    source: a path (`.jsonl`, a JSON array in `.json`, `.csv` or `.tsv` with a header), or a hub
    name: `org/name`, `org/name@revision:config`, `org/name/folder`, one file of it such as
    `org/name/train.jsonl`, or an address from a browser.
    question, answer: the columns that hold them; None in place of the answers' takes questions
    alone. Where no others are named and there is no `question`, `messages` or `prompt` and
    `completion` are read. choices: the column of a list of texts to choose from, which rows need
    not have; empty to read none. split: the hub data set's split.

    Raises BadInput for an empty or malformed file (with its line), for rows without a question or
    an answer and for choices without the answer among them; Missing where the hub cannot be
    asked, MissingExtra where `datasets` is not installed.
    """
    path, columns = Path(source), (question, answer, choices)
    if (here := exists(path, source)) and path.is_dir():
        raise BadInput(
            "this is a folder; a question file was expected",
            where=path,
            hint='Give a .jsonl file with a {"question": ..., "answer": ...} object on each line, '
            "or a .json, .csv or .tsv file.",
        )
    if here:
        rows = list(_rows_of_file(path, columns))
    elif is_file_name(source):
        raise BadInput("there is no such question file", where=source)
    else:
        rows = list(_rows_of_hub(str(source), split, columns))
    if not rows:
        raise BadInput("no questions in it", where=source)
    return rows


def rows_of(
    records: Iterable[Row | Mapping[str, Any]],
    *,
    question: str = "question",
    answer: str | None = "answer",
    choices: str = "choices",
    where: object = "rows",
) -> list[Row]:
    """Read rows that are in memory. where: what an error calls them. Raises as `read_rows` does."""
    columns = question, answer, choices
    rows = [
        record if isinstance(record, Row) else _row(record, columns, f"{where}, row {n}")
        for n, record in enumerate(records, start=1)
    ]
    if not rows:
        raise BadInput("no questions in it", where=where)
    return rows


def is_file_name(source: str | os.PathLike[str], folder: Path | None = None) -> bool:
    """Whether a source can only mean a file: a hub name has no such ending and no such start.

    folder: where relative paths start, the working folder by default. `org/name/rows.jsonl` is a
    file on the hub where no `org` lies there.
    """
    text = str(source)
    if is_hub_address(text):
        return False
    if text.startswith((".", "/", "~", "demo:")):
        return True
    ending = Path(text).suffix in ENDINGS
    on_hub = parse_hub_name(text, "dataset")
    first = (folder or Path()) / text.partition("/")[0]
    return ending and (on_hub is None or not on_hub.path or exists(first, source))


def question_key(row: Row) -> str:
    """What makes two questions the same one: the text, without case and outer white space."""
    return row.question.strip().casefold()


def split_rows(
    rows: Sequence[Row], *, train: int, test: int, seed: int, where: object = None
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Shuffle by `seed` and cut off `test` rows for testing, then `train` for training.

    Rows that repeat an earlier question are left out first, so that no test question can
    have been trained on. Raises BadInput where there are not enough rows.
    """
    unique = _shuffled(rows, seed)
    if len(unique) < train + test:
        raise BadInput(
            f"{train} training and {test} test rows were asked for, "
            f"and it has {len(unique)} different questions that fit",
            where=where,
            hint="Ask for fewer rows, or allow more tokens a row.",
        )
    return tuple(unique[test : test + train]), tuple(unique[:test])


def spare_rows(rows: Sequence[Row], *, used: int, most: int, seed: int) -> tuple[Row, ...]:
    """Give at most `most` of the rows that `split_rows` leaves over with the same seed.

    used: rows that it gave, for training and testing together.
    """
    return tuple(_shuffled(rows, seed)[used : used + most])


def _shuffled(rows: Sequence[Row], seed: int) -> list[Row]:
    """The first row of every question, in a seeded order."""
    unique = list({question_key(row): row for row in reversed(rows)}.values())[::-1]
    random.Random(seed).shuffle(unique)
    return unique


def sample_rows(
    rows: Sequence[Row], count: int | None, *, seed: int, where: object = None
) -> list[Row]:
    """Draw up to `count` rows by `seed`, or give all in their order. Raises BadInput for none."""
    if not rows:
        raise BadInput("no rows that fit", where=where, hint="Allow more tokens a row.")
    if count is None:
        return list(rows)
    if count < 1:
        raise BadInput(f"{count} rows were asked for, which is none", where=where)
    return random.Random(seed).sample(list(rows), min(count, len(rows)))


def fingerprint(rows: Iterable[Row]) -> str:
    """A short SHA-256 of the rows in their order: tells whether two runs saw the same data."""
    digest = hashlib.sha256()
    for row in rows:
        # Rows without choices have the fingerprint that they had before there were any.
        texts = [row.question, row.answer, *([list(row.choices)] if row.choices else ())]
        if row.messages:
            texts.append([[one.role, one.content, one.more] for one in row.messages])
            texts.append(row.tools)
        digest.update(json.dumps(texts).encode())
    return digest.hexdigest()[:16]


def _rows_of_file(path: Path, columns: Columns) -> Iterable[Row]:
    for record, where in records_of(path):
        yield _row(record, columns, where)


def _rows_of_hub(source: str, split: str, columns: Columns) -> Iterable[Row]:
    name, config = data_set(source)
    if name.path.endswith(".jsonl"):
        # Its lines are ours to read: nothing is converted, and a bad one is named.
        yield from _rows_of_file(fetch_file(source, name), columns)
        return
    for number, record in enumerate(table(source, name, config, split)):
        yield _row(record, columns, f"{source}, row {number}")


def _row(record: object, columns: Columns, where: str) -> Row:
    with placed(where):
        return Row(**fields_of(record, columns))
