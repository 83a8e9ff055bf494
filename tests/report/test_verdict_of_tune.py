"""The verdict of tuning: finer weights, and what few rows can show."""

from __future__ import annotations

from dataclasses import replace

from tests.report.conftest import MADE

from superpose.report.tune import tune_page


def test_finer_weights_stand_in_the_verdict_with_the_command_that_takes_them() -> None:
    row = {"weights": {"a": 0.8}, "domain": "a.jsonl", "nll": 1.0, "nll_low": 0.9}
    row |= {"nll_high": 1.1, "interference": 0.1, "interference_low": 0.0, "interference_high": 0.2}
    measured = [
        {"method": method, "weights": {"a": weight}, "domain": "a.jsonl", "nll": nll}
        for method, weight, nll in (("naive", 1.0, 1.0), ("average", 1.0, 1.0), ("x", 0.8, 0.9))
    ]
    found = {"base": "b", "weights": {"a": 0.8}, "measured": measured, "predictions": [row]}
    for end, said in ((0.05, "falls from +0.100 to +0.050"), (0.1, "nothing was better")):
        finer = {"by": "layer", "weights": {}, "groups": 30, "start": 0.1, "end": end}
        model = {"adapters": ["a"], "domains": []}
        page = tune_page({**found, "finer": finer}, {"a.jsonl": 2.0}, model, ["a"], MADE)
        verdict = next(section for section in page.sections if section.key == "verdict")
        (_, first), (what, then) = verdict.values["sentences"]
        assert "most is lost on a.jsonl, −0.100" in first
        assert what == "Or add with one weight for each adapter and layer:"
        assert said in then
        assert "--weights FILE" in then
        assert "test rows would show a little less." in verdict.values["remark"]
        for rows, told in ((15, "show less, and with so few"), (16, "show a little less")):
            made = replace(MADE, data=[("a.jsonl", f"{rows} calibration rows", "")])
            page = tune_page({**found, "finer": finer}, {"a.jsonl": 2.0}, model, ["a"], made)
            assert told in page.sections[0].values["remark"]
