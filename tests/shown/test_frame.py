"""Results as DataFrames: a row for each record, and the names that --json has."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.conftest import WriteAdapter

import superpose
from superpose.errors import BadSetting
from superpose.shown import Framed
from superpose.studies.summary import Summary

DEMO = Path(__file__).resolve().parents[2] / "docs/results/demo/summary.json"


@pytest.fixture
def here(write_adapter: WriteAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for seed, name in enumerate(("math", "medicine", "finance")):
        write_adapter(name, seed=seed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_row_a_pair_with_the_names_and_figures_of_json(here: Path) -> None:
    found = superpose.check("math", "medicine", "finance")
    frame = found.to_frame()
    pairs: Any = found.to_json()["pairs"]
    assert list(frame["a"] + " " + frame["b"]) == [f"{p['a']} {p['b']}" for p in pairs]
    for name in ("cosine", "rms_cosine", "rms_cosine_floor", "output_overlap", "norm_ratio"):
        assert frame[name].tolist() == [pair[name] for pair in pairs]
    assert set(frame) == set(pairs[0]) - {"modules"}
    assert frame.dtypes["cosine"] == "float64"


def test_another_table_is_asked_for_by_its_name(here: Path) -> None:
    found = superpose.check("math", "medicine", "finance")
    assert found.to_frame("adapters")["name"].tolist() == ["math", "medicine", "finance"]
    modules = found.to_frame("pairs.modules")
    assert len(modules) == 3 * 2
    assert modules.groupby(["pairs.a", "pairs.b"]).size().tolist() == [2, 2, 2]
    of_pair = {pair.a + pair.b: {m.name: m.cosine for m in pair.modules} for pair in found.pairs}
    for row in modules.to_dict("records"):
        assert row["cosine"] == of_pair[row["pairs.a"] + row["pairs.b"]][row["name"]]


def test_what_is_no_table_is_refused_with_those_that_are(here: Path) -> None:
    found = superpose.check("math", "medicine")
    for name in ("sum", "pair", "pairs.reason", "", "a.b.c"):
        with pytest.raises(BadSetting, match=r"is no table.*\nIt has: adapters, pairs, pairs.mod"):
            found.to_frame(name)


def test_a_mapping_has_a_column_for_each_key(here: Path) -> None:
    class Rows(Framed):
        TABLE = "rows"

        def to_json(self) -> dict[str, Any]:
            weights = [{"math": 1.0, "law": 0.5}, {"math": 0.0, "law": None}]
            return {"rows": [{"weights": w, "over": ["a", "b"], "more": []} for w in weights]}

    frame = Rows().to_frame()
    assert list(frame) == ["weights.math", "weights.law", "over", "more"]
    assert frame["weights.law"].tolist()[0] == 0.5
    assert math.isnan(frame["weights.law"].tolist()[1])
    assert frame["over"].tolist() == [("a", "b")] * 2  # which a group can be made by


def test_library_results_have_frames(here: Path) -> None:
    copy = superpose.load("math")
    (2.0 * copy).save("twice")
    superpose.index(".", "library")
    near = superpose.near("math", "library").to_frame()
    assert near["name"].tolist()[0] == "twice"
    copies = superpose.dupes("library").to_frame()
    assert len(copies) == 1
    assert {copies["name"][0], copies["groups.keep"][0]} == {"math", "twice"}
    (copy + superpose.load("finance")).save("both")
    parents = superpose.unmix("both", "library").to_frame()
    assert sorted(parents["name"])[0] == "finance"
    assert len(parents) == 2
    assert len(superpose.check(index="library").to_frame()) == 6
    assert superpose.diff("math", "twice").to_frame()["difference"].gt(0.0).all()


def test_a_study_has_a_row_for_each_subset_method_and_domain() -> None:
    written = json.loads(DEMO.read_text(encoding="utf-8"))
    summary = Summary.from_json(written)
    frame = summary.to_frame()
    assert len(frame) == len(written["methods"])
    row = frame[(frame["method"] == "sum") & (frame["domain"] == "math")].iloc[0]
    assert row["subset"] == ("math", "medicine")
    assert row["perplexity.mean"] == written["methods"][0]["perplexity"]["mean"]
    points = summary.to_frame("points")
    assert points["rms_cosine"].tolist() == [point["rms_cosine"] for point in written["points"]]


def test_pandas_is_named_where_it_is_missing(here: Path) -> None:
    program = (
        "import sys; sys.modules['pandas'] = None\n"
        "import superpose\n"
        "superpose.check('math', 'medicine').to_frame()"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=here, capture_output=True, text=True, check=False
    )
    assert "MissingExtra: to_frame needs pandas, which is not installed" in run.stderr
    assert "pip install pandas" in run.stderr


def test_nothing_but_a_frame_loads_pandas(here: Path) -> None:
    program = (
        "import sys, superpose\n"
        "superpose.check('math', 'medicine').to_json()\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=here, check=True)


def test_a_frame_is_a_data_frame(here: Path) -> None:
    assert isinstance(superpose.info("math").to_frame(), pd.DataFrame)
