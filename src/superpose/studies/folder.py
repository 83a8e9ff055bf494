"""The folder of a study is its state: which study it is, and a file for each finished cell.

Every file is written beside its place and renamed, so a kill leaves a cell either finished or
not begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from superpose.executor import WorkFolder
from superpose.measure.choice_score import ChoiceScore
from superpose.measure.evaluate import Score
from superpose.measure.exact_match import ExactMatch
from superpose.studies.cells import StudyCell

__all__ = ["DOMAINS", "PROMPT", "SETTINGS", "SUMMARY", "StudyFolder"]

DOMAINS = "domains.json"
"""Rows of each domain: trained on, tested on, cut at the token limit, left out."""

SETTINGS, SUMMARY = "settings.json", "summary.json"
"""What stood in the study file when the study ran last; what it found."""

PROMPT = "prompt.json"
"""What rows became tokens with: the study file's settings, and the templates that came of them."""

_LATER = ("calibration",)
"""Parts of the identity that a study may do without, and take up later."""


class StudyFolder(WorkFolder):
    """Reads and writes what a study leaves on disk under `path`."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, "study", _LATER)

    def test_fingerprint(self, domain: str) -> str:
        """Give what the test rows of a domain are known by. Raises BadInput where it is damaged."""
        try:
            return str(self._read(self._identity)["data"][domain]["test"])
        except (KeyError, TypeError):
            raise self.damaged(self._identity) from None

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
        self._write(self.path / cell.file, content)

    def read_scores(self, cell: StudyCell) -> dict[str, Score]:
        """Read a cell's evaluation. Raises BadInput where the file is damaged."""
        content = self._read(self.path / cell.file)
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
            raise self.damaged(self.path / cell.file) from None

    def read_weights(self, cell: StudyCell) -> dict[str, float]:
        """Read an evaluated cell's task weights. Raises BadInput where the file is damaged."""
        try:
            return dict(self._read(self.path / cell.file)["weights"])
        except (KeyError, TypeError, ValueError):
            raise self.damaged(self.path / cell.file) from None
