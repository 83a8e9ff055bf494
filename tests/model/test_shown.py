"""What a notebook shows of a verification."""

from __future__ import annotations

import numpy as np
import pytest
from tests.shown.reading import Reading

from superpose.model.verification import Verification


@pytest.mark.parametrize(
    ("error", "approximate", "said"),
    [
        (1e-8, False, "The result is the sum: "),
        (0.5, False, "The result is not the sum: "),
        (np.nan, False, "The result is not the sum: "),
        (0.5, True, "an approximation: "),
    ],
)
def test_a_verification_says_whether_it_holds(error: float, approximate: bool, said: str) -> None:
    found = Verification(error, 1e-9, 1e-4, 1e-4, approximate)
    (line,) = Reading(found._repr_html_()).lines
    assert line.startswith(said)
    assert line.endswith(str(found))
