"""A study's `rows.npz`: every row's loss under every model, which its figures follow from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from superpose.files import new_file
from superpose.studies.scores import StudyScores

__all__ = ["ROWS", "write_row_losses"]

ROWS = "rows.npz"


def write_row_losses(scores: StudyScores, path: Path) -> None:
    """Write what NumPy reads without pickles, compressed.

    method, subset, seed (C,): text for each of C models; a subset is joined by `+`, the base has
    neither subset nor seed. domains (D,): their names. For the d-th of them `tokens_d` (R,), answer
    tokens of its test rows, and `nll_d` (C, R), nats of each row's whole answer.
    """
    cells = list(scores.cells)
    columns = {
        "method": [cell.method for cell in cells],
        "subset": ["+".join(cell.domains) for cell in cells],
        "seed": ["" if cell.seed is None else str(cell.seed) for cell in cells],
        "domains": list(scores.domains),
    }
    arrays = {name: np.array(values) for name, values in columns.items()}
    for d, domain in enumerate(scores.domains):
        found = [scores.cells[cell][domain] for cell in cells]
        arrays[f"tokens_{d}"] = np.array(found[0].row_tokens)
        arrays[f"nll_{d}"] = np.array([score.row_nll for score in found])
    with new_file(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
