"""Merge methods held against each other: one budget, chosen on some rows, measured on others."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose import load, merge
from superpose.adapter import Adapter
from superpose.compose import RegMean, Ties
from superpose.data.domain import Row
from superpose.data.prompt import Example, Prompt
from superpose.data.questions import generate
from superpose.errors import BadInput, BadSetting
from superpose.measure.arena import Arena, ArenaRows, Standing, Trial, answered
from superpose.measure.contenders import BEYOND, CONTENDERS, Contender, contenders
from superpose.measure.inputs import measure_inputs
from superpose.model import SuperposedModel
from superpose.model.base_model import load_base
from superpose.verbs.merging import offered

MODULES = tuple(f"model.layers.{n}.self_attn.{m}_proj" for n in range(2) for m in "oq")
KINDS = ("math", "finance")
PASSES = 4

Rows = dict[str, list[Example]]


@pytest.fixture
def base(tiny_base: Path) -> Any:
    return load_base(str(tiny_base))


@pytest.fixture
def adapters(write_adapter: Any) -> list[Adapter]:
    return [
        load(write_adapter(k, seed=n, modules=MODULES, width=32, base_model="tiny-llama"))
        for n, k in enumerate(KINDS)
    ]


@pytest.fixture
def rows(base: Any) -> tuple[Rows, Rows]:
    """Calibration and test rows."""
    prompt = Prompt(base.tokenizer, max_tokens=120)
    found = {kind: prompt.encode_all(generate(kind, 1, 7, seed=0)[1]) for kind in KINDS}
    return {k: r[:3] for k, r in found.items()}, {k: r[3:] for k, r in found.items()}


@pytest.fixture
def arena(base: Any, adapters: list[Adapter], rows: tuple[Rows, Rows]) -> Arena:
    return Arena(base.model, adapters, *rows, passes=PASSES)


@pytest.mark.parametrize("name", ["sum", "average", "ties", "regmean", "ssr"])
def test_every_method_has_the_same_budget_and_is_measured_once(
    name: str, base: Any, adapters: list[Adapter], rows: tuple[Rows, Rows]
) -> None:
    done: list[float] = []
    arena = Arena(base.model, adapters, *rows, passes=PASSES, progress=done.append)
    found = arena.standing(CONTENDERS[name])
    assert found.passes == PASSES
    assert sum(done) == arena.work == PASSES * 6 + 8
    asked = 1 if name in ("regmean", "ssr") else 0
    assert len(found.trials) == PASSES - asked
    assert {len(score.row_nll) for score in found.scores.values()} == {4}
    chosen = [t for t in found.trials if (t.settings, t.scale) == (found.settings, found.scale)]
    assert chosen[0].objective == min(t.objective for t in found.trials)


@pytest.mark.parametrize("name", [name for name in {**CONTENDERS, **BEYOND} if "tuned" in name])
def test_a_tuned_sum_keeps_within_the_budget_and_is_not_worse_where_it_was_fitted(
    name: str, base: Any, adapters: list[Adapter], rows: tuple[Rows, Rows]
) -> None:
    done: list[float] = []
    arena = Arena(base.model, adapters, rows[1], rows[0], passes=8, progress=done.append)
    found = arena.standing({**CONTENDERS, **BEYOND}[name])
    assert sum(done) == arena.work
    assert found.settings["by"] == name.rpartition(" ")[2]
    assert len(found.trials) == 3
    assert len(found.fine) == 2


def test_weights_on_top_of_the_regression_are_fitted_to_its_parts(
    base: Any, adapters: list[Adapter], rows: tuple[Rows, Rows]
) -> None:
    """What was chosen is the regression's parts with the weights that stand beside it."""
    arena = Arena(base.model, adapters, rows[1], rows[0], passes=8)
    found = arena.standing(BEYOND["regmean-tuned by module"])
    right = 0.0 * adapters[0]
    for part, weights in zip(arena.apart(RegMean()), found.fine, strict=True):
        right = right + part.scaled_by_module(weights)
    whole = answered(base.model, right, 1.0, ArenaRows(rows[0]))
    for domain, score in whole.scores.items():
        assert found.scores[domain].row_nll == pytest.approx(score.row_nll, rel=1e-4)
    assert {weight for weights in found.fine for weight in weights.values()} != {1.0}


def test_the_test_rows_are_scored_under_the_chosen_merge_at_its_scale(
    arena: Arena, base: Any, adapters: list[Adapter], rows: tuple[Rows, Rows]
) -> None:
    found = arena.standing(Contender("ties", (Ties(density=0.3), Ties(density=0.9))))
    whole = found.scale * merge(adapters, None, Ties(density=dict(found.settings)["density"]))
    right = answered(base.model, whole, 1.0, ArenaRows(rows[1]))
    for domain, score in right.scores.items():
        assert found.scores[domain].row_nll == pytest.approx(score.row_nll, rel=1e-4)
    assert found.rank == whole.rank
    assert found.bytes == 4 * whole.parameters


def test_a_method_on_inputs_gets_those_of_the_bare_base_on_the_calibration_rows(
    arena: Arena, base: Any, adapters: list[Adapter], rows: tuple[Rows, Rows]
) -> None:
    moments = tuple(measure_inputs(base.model, MODULES, rows[0][kind]) for kind in KINDS)
    right = merge(adapters, None, RegMean(moments))
    found = arena.merged(RegMean())
    assert (found - right).norm() < 1e-5 * right.norm()


@pytest.mark.parametrize("name", ["sum", "tuned by direction"])
def test_a_standing_comes_back_from_json(
    name: str, base: Any, adapters: list[Adapter], rows: tuple[Rows, Rows]
) -> None:
    found = Arena(base.model, adapters, rows[1], rows[0]).standing(CONTENDERS[name])
    text = json.dumps(found.to_json(), allow_nan=False)
    back = Standing.from_json(json.loads(text))
    assert json.dumps(back.to_json()) == text
    assert (back.scores, back.trials) == (found.scores, found.trials)
    broken = replace(found, trials=(Trial({}, 1.0, {"math": math.inf}),))
    text = json.dumps(broken.to_json(), allow_nan=False)
    assert Standing.from_json(json.loads(text)).trials == broken.trials


def test_choices_are_right_where_the_answers_likelihood_is_the_largest(
    base: Any, adapters: list[Adapter], rows: tuple[Rows, Rows]
) -> None:
    """Against each choice scored as an answer of its own."""
    prompt = Prompt(base.tokenizer, max_tokens=120)
    asked = [
        Row(f"What is {n} plus {n}?", f"{2 * n}", (f"{n}", f"{2 * n}", "9")) for n in (1, 2, 3)
    ]
    questions = [prompt.encode_choices(row) for row in asked]
    tests = ArenaRows(rows[1], {"math": [q for q in questions if q is not None]})
    arena = Arena(base.model, adapters, rows[0], tests, passes=2)
    own = arena.reference("own", dict(zip(KINDS, adapters, strict=True)))
    nll = np.array(
        [
            answered(
                base.model,
                adapters[0],
                1.0,
                ArenaRows(
                    {"c": prompt.encode_all([Row(row.question, choice) for choice in row.choices])}
                ),
            )
            .scores["c"]
            .row_nll
            for row in asked
        ]
    )
    assert own.right["math"] == tuple((nll.argmin(axis=1) == 1).tolist())
    assert own.accuracy == pytest.approx(sum(own.right["math"]) / 3)
    assert len(arena.standing(CONTENDERS["sum"]).right["math"]) == 3
    alone = answered(base.model, adapters[1], 1.0, ArenaRows({"finance": rows[1]["finance"]}))
    assert own.scores["finance"] == alone.scores["finance"]
    assert arena.standing(CONTENDERS["sum"]).union.tokens == own.union.tokens


def test_the_bare_base_is_scored_without_an_adapter(base: Any, rows: tuple[Rows, Rows]) -> None:
    with SuperposedModel(base.model, []) as bare:
        assert bare.modules == ()
    assert set(answered(base.model, None, 1.0, ArenaRows(rows[1])).scores) == set(KINDS)


def test_every_method_that_merges_contends() -> None:
    known = {**CONTENDERS, **BEYOND}
    assert {name.partition(" ")[0] for name in known} == set(offered())
    for name, one in known.items():
        assert one.name == name
        assert len({method.settings for method in one.tries}) == len(one.tries) <= 2


def test_what_cannot_be_held_against_each_other_is_refused(
    base: Any, adapters: list[Adapter], rows: tuple[Rows, Rows]
) -> None:
    with pytest.raises(BadInput, match="1 adapters, calibration rows of 2 domains"):
        Arena(base.model, adapters[:1], *rows)
    with pytest.raises(BadSetting, match="`tis` is no method; there are sum, average"):
        contenders(["tis"])
    few = Arena(base.model, adapters, *rows, passes=2)
    with pytest.raises(BadSetting, match=r"2 passes .* too few for 2 settings of `regmean`"):
        few.standing(CONTENDERS["regmean"])
    assert [one.name for one in contenders(["ties"])] == ["sum", "ties"]


def test_a_scale_that_breaks_the_model_is_not_chosen(arena: Arena, adapters: list[Adapter]) -> None:
    arena.adapters = tuple(1e37 * one for one in adapters)
    with pytest.raises(BadInput, match="not finite"):
        arena.standing(CONTENDERS["sum"])
