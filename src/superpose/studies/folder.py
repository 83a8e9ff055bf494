"""The folder of a study is its state: which study it is, and a file for each finished cell.

Every file is written beside its place and renamed, so a kill leaves a cell either finished or
not begun.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from superpose.errors import BadInput
from superpose.files import new_file
from superpose.measure.evaluate import Score
from superpose.studies.cells import StudyCell

__all__ = ["DOMAINS", "StudyFolder"]

_IDENTITY = "study.json"
DOMAINS = "domains.json"
"""Rows of each domain: trained on, tested on, cut at the token limit, left out."""

_LATER = ("calibration",)
"""Parts of the identity that a study may do without, and take up later."""


class StudyFolder:
    """Reads and writes what a study leaves on disk under `path`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def claim(self, identity: Mapping[str, Any], *, begin: bool = True) -> None:
        """Begin a study here, or go on with it.

        identity: JSON that defines the study; `calibration` in it may be added to a folder that was
        begun without, and left out again. begin: False only looks. Raises BadInput where another
        study, or something else, is in the folder.
        """
        known = self.path / _IDENTITY
        if known.exists():
            found = self._read(known)
            wanted = json.loads(json.dumps(identity))
            later = [key for key in _LATER if (key in found) != (key in wanted)]
            if different := _differences(_without(found, later), _without(wanted, later)):
                raise BadInput(
                    f"this folder holds another study; it differs in {', '.join(different)}",
                    where=self.path,
                    hint="Give another folder with --out, or go back to that study's settings.",
                )
            if begin and (added := {key: wanted[key] for key in later if key in wanted}):
                self._write(known, found | added)
            return
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise BadInput(
                "this is not empty and holds no study",
                where=self.path,
                hint="Give another folder with --out.",
            )
        if begin:
            self._write(known, identity)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from this study; the system lets go of it when we are killed.

        Raises BadInput where another process is at work here.
        """
        lock = filelock.FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise BadInput("another process is running this study", where=self.path) from None
        try:
            yield
        finally:
            lock.release()

    def is_trained(self, cell: StudyCell) -> bool:
        """Whether the cell's adapter lies here. Its folder is renamed into place when whole."""
        return (self.path / cell.adapter).is_dir()

    def is_evaluated(self, cell: StudyCell) -> bool:
        """Whether the cell's evaluation lies here."""
        return (self.path / cell.file).exists()

    def write_scores(
        self,
        cell: StudyCell,
        scores: Mapping[str, Score],
        weights: Mapping[str, float],
        seconds: float,
    ) -> None:
        """Write a cell's evaluation: each row's nats and tokens, by domain.

        weights: task weights of the superposition that it is; none for a merged-data adapter.
        """
        content = {
            "method": cell.method,
            "domains": cell.domains,
            "seed": cell.seed,
            "weights": dict(weights),
            "seconds": round(seconds, 2),
            "scores": {
                domain: {
                    "row_nll": [round(nll, 6) for nll in score.row_nll],
                    "row_tokens": score.row_tokens,
                }
                for domain, score in scores.items()
            },
        }
        self._write(self.path / cell.file, content)

    def read_scores(self, cell: StudyCell) -> dict[str, Score]:
        """Read a cell's evaluation. Raises BadInput where the file is damaged."""
        content = self._read(self.path / cell.file)
        try:
            return {
                domain: Score(tuple(rows["row_nll"]), tuple(rows["row_tokens"]))
                for domain, rows in content["scores"].items()
            }
        except (KeyError, TypeError, AttributeError):
            raise _damaged(self.path / cell.file) from None

    def read_weights(self, cell: StudyCell) -> dict[str, float]:
        """Read an evaluated cell's task weights. Raises BadInput where the file is damaged."""
        try:
            return dict(self._read(self.path / cell.file)["weights"])
        except (KeyError, TypeError, ValueError):
            raise _damaged(self.path / cell.file) from None

    def write(self, name: str, content: object) -> Path:
        """Write JSON under a name within the folder, and give its path."""
        self._write(self.path / name, content)
        return self.path / name

    def read(self, name: str) -> Any:
        """Read JSON under a name within the folder. Raises BadInput where it is damaged."""
        return self._read(self.path / name)

    def _write(self, path: Path, content: object) -> None:
        with new_file(path) as beside:
            beside.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")

    def _read(self, path: Path) -> Any:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise _damaged(path) from None


def _damaged(path: Path) -> BadInput:
    return BadInput(
        "this file of the study cannot be read",
        where=path,
        hint="Delete it: the study makes it anew.",
    )


def _without(content: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in keys}


def _differences(found: Any, wanted: Any, place: str = "") -> list[str]:
    """The dotted names of what two JSON objects do not have in common."""
    if not isinstance(found, dict) or not isinstance(wanted, dict):
        return [] if found == wanted else [place]
    return [
        difference
        for key in sorted(found.keys() | wanted.keys())
        for difference in _differences(
            found.get(key), wanted.get(key), f"{place}.{key}" if place else key
        )
    ]
