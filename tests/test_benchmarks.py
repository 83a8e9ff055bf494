"""What the benchmarks run on is valid; how long they take is never asserted."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from functools import partialmethod
from pathlib import Path

import benchmarks.page
import numpy as np
import pytest
from benchmarks import adapters, bake, check_process, factor_space, models, splits, truncate
from benchmarks.__main__ import NAMES, main
from benchmarks.measure import Sample, Timing, call, interleaved, process, ratio
from benchmarks.page import PAGE, page, records
from benchmarks.readme import block_of
from benchmarks.result import RESULTS, Result, Target, tables

import superpose
from superpose.compose import METHODS
from superpose.interference import check
from superpose.lowrank import dense


def timing(*seconds: float) -> Timing:
    return Timing(tuple(Sample(each, each) for each in seconds))


def test_the_gpt2_adapters_have_the_papers_modules_and_parameters(tmp_path: Path) -> None:
    paths = adapters.write_adapters(tmp_path, "abc", adapters.GPT2, layers=12, rank=4)
    loaded = [superpose.load(path) for path in paths]
    assert [len(adapter) for adapter in loaded] == [36] * 3
    assert [adapter.parameters for adapter in loaded] == [405_504] * 3
    assert check(loaded).energy_ratio == pytest.approx(1.0, abs=0.01)


def test_the_7b_adapters_have_seven_bfloat16_modules_a_layer(tmp_path: Path) -> None:
    path = adapters.write_adapter(
        tmp_path / "a", adapters.SEVEN_B, layers=1, rank=2, seed=0, dtype="bfloat16"
    )
    adapter = superpose.load(path)
    assert len(adapter) == 7
    assert adapter["model.layers.0.mlp.up_proj"].shape == (11008, 4096)
    assert adapter["model.layers.0.mlp.up_proj"].terms[0].A.dtype.name == "bfloat16"


def test_a_delta_is_of_an_adapters_usual_size(tmp_path: Path) -> None:
    path = adapters.write_adapter(tmp_path / "a", adapters.GPT2, layers=1, rank=4, seed=0)
    delta = superpose.load(path)["transformer.h.0.attn.c_proj"]
    term = delta.terms[0]
    assert np.std(term.coefficient * term.B @ term.A) == pytest.approx(0.01, rel=0.2)


def test_a_check_imports_no_heavy_library(tmp_path: Path) -> None:
    """But pydantic, where typer itself imports it: constraints.txt pins one that does not."""
    paths = adapters.write_adapters(tmp_path, "ab", adapters.GPT2, layers=1, rank=2)
    assert set(check_process.heavy_imports(paths)) <= {"pydantic"}


def test_the_base_that_is_baked_has_the_tensors_of_a_llama() -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**models.llama_config(2)))
    right = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert dict(models.llama_tensors(2)) == right


def test_bake_is_held_against_twice_cp_and_the_arithmetic_of_the_same_round() -> None:
    """The second round was slow for all; 4 / (2 + 2) and 30 / (20 + 10) are both 1."""
    found = bake.within(timing(4, 30, 8), timing(1, 10, 1), timing(2, 10, 2))
    assert found == 1.0


def test_a_process_is_timed_with_its_own_memory_alone() -> None:
    ballast = np.ones(30_000_000)
    sample = process([sys.executable, "-S", "-c", "import time; time.sleep(0.2)"])
    assert sample.seconds >= 0.2
    assert sample.peak_mb is not None
    assert 1 < sample.peak_mb < ballast.nbytes / 1e6 / 2


def test_a_process_that_fails_is_an_error_with_its_words() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        process([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_tasks_take_turns_and_warmups_are_not_counted() -> None:
    turns: list[str] = []
    timings = interleaved({n: lambda n=n: call(lambda: turns.append(n)) for n in "ab"}, repeats=3)
    assert turns == list("abababab")
    assert [len(each.samples) for each in timings.values()] == [3, 3]


def test_a_ratio_is_taken_within_each_round() -> None:
    """The second round was slow for both; the ratio of the medians would be 2 / 2."""
    assert ratio(timing(2, 20, 2), timing(1, 10, 2)) == 2.0


def test_the_error_above_the_optimum_is_zero_for_the_dense_svd_alone() -> None:
    delta = np.random.default_rng(0).normal(size=(20, 30))
    best = truncate._dense(delta)
    assert truncate.excess_error(best, delta) == pytest.approx(0.0, abs=1e-9)
    assert truncate.excess_error(1.1 * best, delta) > 1e-3
    assert truncate.distance(1.1 * best, delta) == pytest.approx(0.1)


def test_a_target_tells_whether_it_holds_and_a_record_without_limit_does_not() -> None:
    assert Target("a", 2.9, "<=", 3).holds is True
    assert Target("a", 0.8, ">=", 0.9).holds is False
    assert Target("a", 0.8).holds is None


def test_a_result_is_written_with_versions_and_without_paths(tmp_path: Path) -> None:
    result = Result("x", "Why?", {"run": timing(1, 2, 3)}, (Target("a", 4.0, "<=", 3),))
    record = json.loads(result.write(tmp_path).read_text())
    assert record["timings"]["run"]["median_s"] == 2
    assert {"python", "numpy", "processor", "cores"} <= set(record["measured_with"])
    assert "| a | 4 | <= 3 | **no** |" in tables(record)
    assert str(Path.home()) not in json.dumps(record)


def test_the_page_is_what_the_results_say() -> None:
    assert {path.stem for path in RESULTS.glob("*.json")} <= {
        *NAMES, "exactness", "inputs", "methods", "prediction", "second", "splits",
    }  # fmt: skip
    assert PAGE.read_text(encoding="utf-8") == page(records(NAMES))


def test_the_page_takes_every_benchmark_that_left_a_record(tmp_path: Path) -> None:
    for name, begun in (("zebra", None), ("ant", "2026-01-02 03:04")):
        Result(name, "Why?", {"run": timing(1, 2, 4)}, (), begun, 0.25).write(tmp_path)
    (tmp_path / "study.json").write_text('{"rows": []}')  # has a page of its own
    found = records(["zebra"], tmp_path)
    assert [record["name"] for record in found] == ["zebra", "ant"]
    text = page(found)
    assert text.index("## zebra") < text.index("## ant")
    assert "| run | 1 | 2 | 4 |" in text
    assert "The figures are not of one run" in text
    assert "| ant | 2026-01-02 03:04 |" in text
    assert "All figures are of one run, begun 2026-01-02 03:04" in page(found[1:])


def test_a_run_writes_when_it_began_and_how_busy_the_machine_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(repeats: int = 5) -> Result:
        return Result("truncate", "Why?", {"run": timing(*range(1, repeats + 1))}, ())

    monkeypatch.setattr(truncate, "measure", measure)
    monkeypatch.setattr(Result, "write", partialmethod(Result.write, tmp_path))
    monkeypatch.setattr(benchmarks.page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(sys, "argv", ["benchmarks", "truncate", "--repeats", "3"])
    main()
    record = json.loads((tmp_path / "truncate.json").read_text())
    assert record["timings"]["run"]["slowest_s"] == 3
    assert record["measured_with"]["load"] >= 0
    datetime.strptime(record["measured_with"]["begun"], "%Y-%m-%d %H:%M").astimezone(UTC)
    assert (tmp_path / "page.md").read_text() == page(records(NAMES))


def test_the_table_of_splits_is_what_its_record_says_and_no_method_here_depends_on_one() -> None:
    record = json.loads((RESULTS / "splits.json").read_text())
    assert splits.table(record) == block_of(splits.COMMAND, splits.PAGE)
    own = [row for row in record["rows"] if row["way"].startswith("superpose")]
    assert {f"superpose `{name}`" for name in METHODS if " " not in name} <= {r["way"] for r in own}
    assert all(row[split] < 1e-9 for row in own for split in splits.SPLITS)


def test_the_splits_that_are_compared_are_of_the_same_deltas() -> None:
    given = splits.adapters()
    for change in splits.SPLITS.values():
        for x, y in zip(given, change(given), strict=True):
            for (B, A), (C, D) in zip(x.values(), y.values(), strict=True):
                np.testing.assert_allclose(B @ A, C @ D, atol=1e-12)


def test_methods_and_their_definitions_give_the_same_where_their_times_are_compared() -> None:
    adapters = factor_space.parts(40, 4, 3)
    deltas = [c * B.astype(np.float64) @ A for a in adapters for c, B, A in a["q"].terms]
    for name, rule in factor_space.RULES.items():
        found = superpose.merge(adapters, None, METHODS[name]())
        assert factor_space.apart(dense(found["q"].terms), rule(deltas)) < 1e-4, name
