"""A domain: its questions and answers, read from where they lie and split once.

Rows come from a JSON Lines file or from a data set of the Hugging Face hub. The split is seeded
and made before anything is trained.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from superpose.errors import BadInput, MissingExtra

__all__ = [
    "Domain",
    "Row",
    "fingerprint",
    "is_file_name",
    "question_key",
    "read_rows",
    "sample_rows",
    "split_rows",
]


@dataclass(frozen=True)
class Row:
    """One question and its answer, as text."""

    question: str
    answer: str


@dataclass(frozen=True)
class Domain:
    """A question-and-answer set under a name, split into training and test rows.

    left_out: rows of its sources whose question leaves the answer no room.
    """

    name: str
    train: tuple[Row, ...]
    test: tuple[Row, ...]
    left_out: int = 0


def read_rows(
    source: str | Path, *, question: str = "question", answer: str = "answer", split: str = "train"
) -> list[Row]:
    """Read the rows of a `.jsonl` file or, where no such file exists, of a hub data set.

    source: a path, or a hub name such as `org/name` or `org/name:config`.
    question, answer: the columns that hold them. split: the hub data set's split.

    Raises BadInput for an empty or malformed file (with its line) and for rows without a
    question or an answer; MissingExtra where `datasets` is not installed.
    """
    path = Path(source)
    if path.is_dir():
        raise BadInput(
            "this is a folder; a question file was expected",
            where=path,
            hint='Give a .jsonl file with a {"question": ..., "answer": ...} object on each line.',
        )
    if path.exists():
        rows = list(_rows_of_file(path, question, answer))
    elif is_file_name(source):
        raise BadInput("there is no such question file", where=source)
    else:
        rows = list(_rows_of_hub(str(source), split, question, answer))
    if not rows:
        raise BadInput("no questions in it", where=source)
    return rows


def is_file_name(source: str | Path) -> bool:
    """Whether a source can only mean a file: a hub name has no such ending and no such start."""
    ending = Path(source).suffix in {".jsonl", ".json", ".csv"}
    return ending or str(source).startswith((".", "/", "~", "demo:"))


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
    unique = list({question_key(row): row for row in reversed(rows)}.values())[::-1]
    if len(unique) < train + test:
        raise BadInput(
            f"{train} training and {test} test rows were asked for, "
            f"and it has {len(unique)} different questions that fit",
            where=where,
            hint="Ask for fewer rows, or allow more tokens a row.",
        )
    random.Random(seed).shuffle(unique)
    return tuple(unique[test : test + train]), tuple(unique[:test])


def sample_rows(
    rows: Sequence[Row], count: int | None, *, seed: int, where: object = None
) -> list[Row]:
    """Draw `count` rows by `seed`, or give all in their order. Raises BadInput for too few."""
    if not rows:
        raise BadInput("no rows that fit", where=where, hint="Allow more tokens a row.")
    if count is None:
        return list(rows)
    if not 1 <= count <= len(rows):
        raise BadInput(f"{count} rows were asked for, and {len(rows)} fit", where=where)
    return random.Random(seed).sample(list(rows), count)


def fingerprint(rows: Iterable[Row]) -> str:
    """A short SHA-256 of the rows in their order: tells whether two runs saw the same data."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row.question, row.answer]).encode())
    return digest.hexdigest()[:16]


def _rows_of_file(path: Path, question: str, answer: str) -> Iterable[Row]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise BadInput(f"it is not UTF-8 text (byte {error.start})", where=path) from None
    except OSError as error:
        raise BadInput(f"it cannot be read: {error.strerror}", where=path) from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadInput(f"not a JSON object: {error.msg}", where=where) from None
        except (ValueError, RecursionError):  # a number of thousands of digits, endless brackets
            raise BadInput("not a JSON object of a sensible size", where=where) from None
        yield _row(record, question, answer, where)


def _rows_of_hub(source: str, split: str, question: str, answer: str) -> Iterable[Row]:
    try:
        import datasets
    except ImportError:
        raise MissingExtra(
            f"{source} is no file here, and reading a hub data set needs `datasets`",
            hint='Install it with: pip install "superpose[study]"',
        ) from None
    name, _, config = source.partition(":")
    try:
        table = datasets.load_dataset(name, config or None, split=split)
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"no such file, and the hub gives no data set of that name ({_first_line(error)})",
            where=source,
            hint="Check the path; for a hub data set check the name and the network.",
        ) from None
    for number, record in enumerate(table):
        yield _row(record, question, answer, f"{source}, row {number}")


def _row(record: object, question: str, answer: str, where: str) -> Row:
    if not isinstance(record, dict):
        raise BadInput("not a JSON object", where=where)
    texts = []
    for column in (question, answer):
        text = record.get(column)
        if not isinstance(text, str) or not text.strip():
            found = ", ".join(sorted(map(str, record))) or "nothing"
            raise BadInput(
                f"no text under {column!r} (it has: {found})",
                where=where,
                hint="Name the columns that hold questions and answers.",
            )
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise BadInput(f"half a surrogate pair under {column!r} is no text", where=where)
        texts.append(text.strip())
    return Row(*texts)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
