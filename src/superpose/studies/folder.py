"""The folder of a study is its state: which study it is, and a file for each finished cell.

Every file is written beside its place and renamed, so a kill leaves a cell either finished or
not begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from superpose.executor import WorkFolder
from superpose.measure.choice_score import ChoiceScore
from superpose.measure.evaluate import Score
from superpose.measure.exact_match import ExactMatch
from superpose.studies.cells import StudyCell

__all__ = ["DOMAINS", "PROMPT", "StudyFolder"]

DOMAINS = "domains.json"
"""Rows of each domain: trained on, tested on, cut at the token limit, left out."""

PROMPT = "prompt.json"
"""What rows became tokens with: the study file's settings, and the templates that came of them."""

_LATER = ("calibration",)
"""Parts of the identity that a study may do without, and take up later."""


class StudyFolder(WorkFolder):
    """Reads and writes what a study leaves on disk under `path`."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, "study", _LATER)

    def claim(self, identity: Mapping[str, Any], *, begin: bool = True) -> None:
        """Begin a study here, or go on with it, also with domains behind those that it had.

        With more domains, what a seed's weights and forecast told of fewer is put aside, to be made
        anew; adapters and evaluations stay. Raises BadInput as `WorkFolder` does.
        """
        before = self._read(self._identity) if self._identity.exists() else None
        fewer = None if before is None else _of_fewer(before, identity)
        if fewer is None:
            super().claim(identity, begin=begin)
            return
        super().claim(fewer, begin=False)
        if begin:
            for file in (*self.path.glob("cells/seed-*/check.json"),
                         *self.path.glob("cells/seed-*/forecast.json")):  # fmt: skip
                file.replace(file.with_suffix(f".of-{len(fewer['order'])}.json"))
            self._write(self._identity, identity)

    def test_fingerprint(self, domain: str) -> str:
        """Give what the test rows of a domain are known by. Raises BadInput where it is damaged."""
        try:
            return str(self._read(self._identity)["data"][domain]["test"])
        except (KeyError, TypeError):
            raise self.damaged(self._identity) from None

    def is_trained(self, cell: StudyCell) -> bool:
        """Whether the cell's adapter lies here. Its folder is renamed into place when whole."""
        return (self.path / cell.adapter).is_dir()

    def is_evaluated(self, cell: StudyCell, domains: Iterable[str] = ()) -> bool:
        """Whether the cell's evaluation lies here, on each of these domains."""
        missing = self.unscored(cell, domains)
        added = all((self.path / self.added_file(cell, name)).exists() for name in missing)
        return (self.path / cell.file).exists() and added

    def unscored(self, cell: StudyCell, domains: Iterable[str]) -> list[str]:
        """Give the domains that joined when the cell had been evaluated; none where it was not."""
        path = self.path / cell.file
        if not path.exists():
            return []
        try:
            scored = self._read(path)["scores"].keys()
        except (KeyError, TypeError, AttributeError):
            raise self.damaged(path) from None
        return [name for name in domains if name not in scored]

    @staticmethod
    def added_file(cell: StudyCell, domain: str) -> str:
        """Where a cell's evaluation on a domain that joined later lies within the folder."""
        return f"{cell.file.removesuffix('.json')}.added/{domain}.json"

    def write_scores(
        self,
        cell: StudyCell,
        scores: Mapping[str, Score],
        weights: Mapping[str, float],
        seconds: float,
        file: str = "",
    ) -> None:
        """Write a cell's evaluation: each row's nats and tokens, by domain, and its choices'.

        Of answers that were said, whether each is the row's. weights: task weights of the
        superposition that it is; none for a merged-data adapter.
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
                    **({} if score.choices is None else {"choices": score.choices.to_json()}),
                    **({} if score.match is None else {"match": score.match.hits}),
                }
                for domain, score in scores.items()
            },
        }
        self._write(self.path / (file or cell.file), content)

    def read_scores(self, cell: StudyCell) -> dict[str, Score]:
        """Read a cell's evaluation, domains that joined later at its end.

        Raises BadInput where a file is damaged.
        """
        added = sorted((self.path / self.added_file(cell, "x")).parent.glob("*.json"))
        found: dict[str, Score] = {}
        for path in (self.path / cell.file, *added):
            found |= self._scores_of(path)
        return found

    def _scores_of(self, path: Path) -> dict[str, Score]:
        content = self._read(path)
        try:
            return {
                domain: Score(
                    tuple(rows["row_nll"]),
                    tuple(rows["row_tokens"]),
                    ChoiceScore.from_json(rows["choices"]) if "choices" in rows else None,
                    ExactMatch(tuple(rows["match"])) if "match" in rows else None,
                )
                for domain, rows in content["scores"].items()
            }
        except (KeyError, TypeError, AttributeError):
            raise self.damaged(path) from None

    def read_weights(self, cell: StudyCell) -> dict[str, float]:
        """Read an evaluated cell's task weights. Raises BadInput where the file is damaged."""
        try:
            return dict(self._read(self.path / cell.file)["weights"])
        except (KeyError, TypeError, ValueError):
            raise self.damaged(self.path / cell.file) from None


def _of_fewer(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the identity that a study had with the domains before; None where none joined.

    Domains join behind the others, as the names of sums follow their order.
    """
    names = before.get("order")
    if not isinstance(names, list) or not names or len(now["order"]) <= len(names):
        return None
    if now["order"][: len(names)] != names:
        return None
    held = {key: now[key] for key in ("data", "calibration") if key in now}
    fewer = {key: {n: of[n] for n in names if n in of} for key, of in held.items()}
    return {**now, **fewer, "order": names}
