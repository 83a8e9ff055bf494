"""What a notebook shows of tuned task weights."""

from __future__ import annotations

import math

from tests.shown.reading import Reading

from superpose.measure.tune import Point, Tuned


def test_tuned_weights_show_all_that_was_measured_the_best_first() -> None:
    naive = Point("naive", (1.0, 1.0), (1.5, 900.0), 0.3)
    best = Point("Newton", (0.51234, 0.9), (1.25, math.log(2.0)), -0.02)
    found = Tuned(("math", "<law>"), ("sums", "cases"), best, (naive, best))
    (table,) = Reading(found._repr_html_()).tables
    assert table.rows == [
        ["task weights", "method", "sums", "cases", "objective"],
        ["0.512 math + 0.9 <law>", "Newton", "3.49", "2.00", "−0.0200"],
        ["math + <law>", "naive", "4.48", "inf", "+0.3000"],
    ]
