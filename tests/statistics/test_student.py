"""Student's quantile is scipy's, whatever the degrees of freedom."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from superpose.statistics import student_quantile


@settings(deadline=None, max_examples=200)
@given(st.floats(0.55, 0.999), st.integers(1, 500) | st.integers(501, 20_000))
def test_the_quantile_is_scipys(share: float, degrees: int) -> None:
    assert student_quantile(share, degrees) == pytest.approx(stats.t.ppf(share, degrees), rel=1e-10)


def test_the_quantile_is_what_tables_say() -> None:
    found = [round(student_quantile(0.975, degrees), 3) for degrees in (1, 2, 3, 10, 30, 120)]
    assert found == [12.706, 4.303, 3.182, 2.228, 2.042, 1.980]
