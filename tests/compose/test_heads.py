"""Deltas of classifiers are compared and added whatever their heads are, and heads as one says."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import superpose as sp
from superpose.adapter import Adapter, Delta, Part, Replacement, Stored, in_head, is_head
from superpose.errors import BadInput, DifferentBase, SuperposeWarning

QUERY = "model.layers.0.self_attn.q_proj"


def made(
    name: str, labels: int = 3, seed: int = 0, *, factors: bool = False, **more: Any
) -> Adapter:
    """A classifier's adapter: factors of the body, a head and a norm that are stored whole."""
    rng = np.random.default_rng(seed)
    stored = {"score.weight": rng.normal(size=(labels, 4)), "score.bias": rng.normal(size=labels),
              "model.norm.weight": rng.normal(size=4)}  # fmt: skip
    replacements = {
        tensor: Replacement((Part(1.0, Stored(value)),), tensor, owner=tensor.rpartition(".")[0])
        for tensor, value in stored.items()
    }
    deltas = {QUERY: Delta.of(rng.normal(size=(4, 2)), rng.normal(size=(2, 4)))}
    if factors:
        deltas["score.out_proj"] = Delta.of(rng.normal(size=(labels, 2)), rng.normal(size=(2, 4)))
    settings = {"task_type": "SEQ_CLS"}
    return Adapter(deltas, name, replacements=replacements, settings=settings, **more)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("score.weight", True), ("classifier.out_proj.bias", True), ("qa_outputs.weight", True),
        ("pooler.dense.weight", True), ("bert.pooler.dense.weight", False),
        ("model.score.weight", True), ("lm_head.weight", False), ("model.norm.weight", False),
        ("encoder.block.1.layer.1.mlp.router.classifier.weight", False),
        ("layers.0.classifier.weight", False),
    ],
)  # fmt: skip
def test_a_head_is_known_by_its_name_and_a_router_is_none(name: str, head: bool) -> None:
    assert is_head(name) is head


def test_what_a_classifier_saves_outside_its_body_is_a_head_whatever_its_name() -> None:
    own = Replacement((Part(1.0, Stored(np.ones((3, 4)))),), "linear.weight", owner="linear")
    adapter = made("a")
    known = replace(adapter, replacements={own.key: own, **adapter.replacements})
    assert in_head(known).stored == ("linear.weight", "score.weight", "score.bias")
    plain = replace(known, settings={"task_type": "FEATURE_EXTRACTION"})
    assert in_head(plain).stored == ("score.weight", "score.bias")


@pytest.mark.parametrize("factors", [False, True])
def test_check_and_cosine_compare_the_deltas_of_heads_for_other_labels(factors: bool) -> None:
    a, b = made("a", 3, factors=factors), made("b", 5, 1, factors=factors)
    plain = [Adapter({QUERY: x[QUERY]}, x.name) for x in (a, b)]
    found, right = sp.check([a, b]), sp.check(plain)
    assert found.pairs[0].cosine == pytest.approx(right.pairs[0].cosine)
    assert found.energy_ratio == pytest.approx(right.energy_ratio)
    assert [x.heads for x in found.adapters] == [2 + factors, 2 + factors]
    assert a.inner(b) == pytest.approx(plain[0].inner(plain[1]))
    assert not math.isnan(sp.cosine(a, b))
    assert [x.heads for x in sp.check([a, b], heads="none").adapters] == [2 + factors, 2 + factors]


def test_a_sum_of_heads_for_other_labels_is_refused_with_the_ways_out() -> None:
    a, b = made("a", 3), made("b", 5, 1)
    for add in (lambda: a + b, lambda: sp.exact_sum([a, b], [0.5, 0.5])):
        with pytest.raises(DifferentBase, match=r"`score\.weight` has shape") as error:
            add()
        assert "--heads none" in str(error.value)
        assert "--heads NAME" in str(error.value)


def test_heads_are_left_out_and_the_rest_is_the_sum() -> None:
    a, b = made("a", 3), made("b", 5, 1)
    total = sp.exact_sum([a, b], [0.5, 0.5], heads="none")
    assert set(total.replacements) == {"model.norm.weight"}
    assert not in_head(total)
    assert a.settings["task_type"] == "SEQ_CLS"
    assert "task_type" not in total.settings
    assert [(p.name, p.weight) for p in total.parents] == [("a", 0.5), ("b", 0.5)]
    assert total.inner(a) == pytest.approx(0.5 * a.inner(a) + 0.5 * b.inner(a))


@pytest.mark.parametrize("heads", ["b", 2, "2", "runs/b"])
def test_one_adapters_head_is_taken_whole_whatever_its_weight(heads: str | int) -> None:
    a, b = made("a", 3), made("b", 5, 1, path="runs/b")
    total = sp.exact_sum([a, b], [1.0, -0.25], heads=heads)
    for key in ("score.weight", "score.bias"):
        assert not total.replacements[key].needs_base
        assert np.array_equal(total.replacements[key].value(), b.replacements[key].value())
    assert total.replacements["model.norm.weight"].total == 0.75


def test_heads_whose_weights_sum_to_one_are_summed_and_keep_their_task() -> None:
    a, b = made("a"), made("b", seed=1)
    base = Adapter({QUERY: a[QUERY]}, "plain", settings={"task_type": "CAUSAL_LM"})
    total = sp.exact_sum([a, b, base], [0.25, 0.75, 1.0])
    right = (
        0.25 * a.replacements["score.weight"].value()
        + 0.75 * b.replacements["score.weight"].value()
    )
    assert np.allclose(total.replacements["score.weight"].value(), right)
    assert total.settings["task_type"] == "SEQ_CLS"


def test_heads_of_two_tasks_have_none_that_is_agreed_on() -> None:
    a, b = made("a"), replace(made("b", seed=1), settings={"task_type": "TOKEN_CLS"})
    assert "task_type" not in sp.exact_sum([a, b], [0.25, 0.75]).settings


def test_a_head_of_no_adapter_and_one_of_several_are_refused_by_name() -> None:
    a, b = made("a"), made("a", seed=1)
    for heads, said in (("c", "is none of"), ("a", "is several of"), (3, "is none of")):
        with pytest.raises(BadInput, match=said) as error:
            sp.exact_sum([a, b], heads=heads)
        assert "1 (a), 2 (a)" in str(error.value)
    plain = Adapter({QUERY: a[QUERY]}, "plain")
    with pytest.raises(BadInput, match="holds no head that could be taken"):
        sp.exact_sum([a, plain], heads="plain")


def test_a_head_that_no_base_has_asks_for_a_base_or_says_what_else_there_is() -> None:
    total = sp.exact_sum([made("a"), made("b", seed=1)])
    with pytest.raises(BadInput, match="task weights sum to 2") as error:
        total.replacements["score.weight"].value()
    assert "--heads none" in str(error.value)


def test_vocabularies_are_said_to_be_the_difference() -> None:
    def with_embedding(name: str, rows: int) -> Adapter:
        tensor = "model.embed_tokens.weight"
        value = Stored(np.ones((rows, 4)))
        whole = Replacement((Part(1.0, value),), tensor, owner="model.embed_tokens")
        return replace(made(name), replacements={tensor: whole})

    a, b = with_embedding("a", 64), with_embedding("b", 66)
    with pytest.raises(DifferentBase, match="vocabulary alone, by 2 tokens"):
        a + b
    assert sp.check([a, b]).pairs[0].cosine == pytest.approx(1.0)


def test_copies_of_other_vocabularies_do_not_hinder_a_comparison() -> None:
    name = "model.embed_tokens.weight"
    a, b = (replace(made("a"), copies={name: np.ones((rows, 4))}) for rows in (64, 66))
    for compare in (sp.check, lambda pair: sp.diff(*pair)):
        with pytest.warns(SuperposeWarning, match=r"is another one in .* deltas alone"):
            compare([a, b])
    with pytest.raises(DifferentBase, match="is another one in"):
        a + b
