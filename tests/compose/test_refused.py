"""What merge methods refuse: settings that are none, ranks that do not exist, what is no delta."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.compose.battery import merged, three
from tests.compose.test_heads import made as classifier

import superpose
from superpose import compose
from superpose.adapter import Adapter, Delta
from superpose.compose import (
    Average,
    BestRank,
    CoreSpace,
    Ctm,
    Dare,
    DareTies,
    Della,
    EqualNorm,
    Iso,
    Knots,
    Method,
    Orthogonal,
    Star,
    Sum,
    Svc,
    Ties,
    Tsv,
    Wudi,
)
from superpose.compose.by_module import ByModule
from superpose.errors import BadInput, BadSetting, Refused
from superpose.lowrank import Kronecker

BAD: dict[str, tuple[Callable[[], Method], str, str]] = {
    "no density": (lambda: Ties(density=0.0), "density", "above 0 and at most 1"),
    "much density": (lambda: Dare(density=1.5), "density", "above 0 and at most 1"),
    "density of nan": (lambda: DareTies(density=float("nan")), "density", "above 0"),
    "density below epsilon": (lambda: Della(density=0.1), "density", "density - epsilon"),
    "density and epsilon": (lambda: Della(density=0.9, epsilon=0.2), "density", r"\+ epsilon"),
    "epsilon": (lambda: Della(epsilon=-0.1), "epsilon", "at least 0"),
    "epsilon of nan": (lambda: Della(epsilon=float("nan")), "epsilon", "at least 0"),
    "much epsilon": (lambda: Della(epsilon=1.5), "epsilon", "below the density"),
    "density of della": (lambda: Della(density=0.0), "density", "above 0 and at most 1"),
    "density of nan in della": (lambda: Della(density=float("nan")), "density", "at most 1"),
    "seed": (lambda: Dare(seed=-1), "seed", "whole number"),
    "share": (lambda: Tsv(share=0.0), "share", "above 0"),
    "variant": (lambda: Iso(variant="x"), "variant", "none of c, cts"),
    "common": (lambda: Iso(common=2.0), "common", "at most 1"),
    "beta": (lambda: Ctm(beta=-0.1), "beta", "from 0 to 1"),
    "ridge": (lambda: Wudi(ridge=-1.0), "ridge", "at least 0"),
    "alpha": (lambda: Svc(alpha=0.0), "alpha", "above 0"),
    "much alpha": (lambda: Svc(alpha=1.1e100), "alpha", r"at most 1e\+100"),
    "eta": (lambda: Star(eta=1.1), "eta", "at most 1"),
    "mu": (lambda: Orthogonal(mu=-1.0), "mu", "at least 0"),
    "equal-norm's rule": (lambda: EqualNorm(rule="x"), "rule", "none of mean, meta"),
    "a rule on factors": (lambda: Knots(rule=Tsv()), "rule", "no method on entries"),
    "a rule with a rule": (lambda: CoreSpace(rule=CoreSpace()), "rule", "cannot be a rule"),
    "a rule that is none": (lambda: Star(rule=BestRank(2)), "rule", "cannot be a rule"),
    "a rule with a rank": (lambda: CoreSpace(rule=Ties(rank=2)), "rule", "not its rule's"),
}


METHODS = [vars(compose)[name] for name in compose.__all__]
RANKED = [m for m in METHODS if inspect.isclass(m) and issubclass(m, ByModule | BestRank)]


@pytest.mark.parametrize("case", BAD)
def test_a_setting_that_is_none_is_refused_by_its_name(case: str) -> None:
    make, where, what = BAD[case]
    with pytest.raises(BadSetting, match=what) as error:
        make()
    assert error.value.where == where


def test_what_lies_on_a_border_is_a_setting() -> None:
    assert Della(density=0.5, epsilon=0.5 - 2**-50).epsilon < 0.5
    assert Della(density=1.0, epsilon=0.0).epsilon == 0.0
    assert Svc(alpha=1e100).alpha == 1e100
    assert Star(eta=1.0).eta == Tsv(share=1.0).share == Ties(density=1.0).density == 1.0


@pytest.mark.parametrize(("method", "most"), [(Ties(rank=11), 10), (Tsv(rank=7), 6)])
def test_a_rank_above_what_exists_is_refused_with_the_highest(method: Method, most: int) -> None:
    with pytest.raises(BadSetting, match=f"at most {most}") as error:
        merged(three(), method)
    assert error.value.where == "rank"
    assert merged(three(), replace(method, rank=most)).rank <= most  # type: ignore[call-arg]


@pytest.mark.parametrize("rank", [0, -1, 1.5])
@pytest.mark.parametrize("method", RANKED, ids=lambda method: str(method.__name__))
def test_a_rank_that_is_no_whole_number_of_at_least_1_is_bad_input(
    method: type[ByModule], rank: int
) -> None:
    with pytest.raises(BadInput, match="rank"):
        method(rank=rank)


def test_weights_that_sum_to_nothing_have_no_average() -> None:
    with pytest.raises(BadInput, match="of that there is no average"):
        merged(three(), Average(), [1.0, -2.0, 1.0])


@pytest.mark.parametrize("method", [Ties(), Tsv(), EqualNorm()])
def test_a_head_that_is_stored_whole_is_refused_with_the_way_out(method: Method) -> None:
    heads = [classifier("a"), classifier("b", seed=1)]
    parts = [
        replace(h, replacements={k: r for k, r in h.replacements.items() if "score" in k})
        for h in heads
    ]
    with pytest.raises(Refused, match=f"`{method.name}` merges deltas alone") as error:
        superpose.merge(parts, None, method)
    assert "--heads none" in str(error.value)
    assert superpose.merge(parts, None, method, heads="none").replacements == {}
    assert superpose.merge(parts, None, method, heads="a").replacements.keys() == {
        "score.weight", "score.bias",
    }  # fmt: skip


def test_stored_tensors_are_averaged_and_the_refusal_of_others_says_so() -> None:
    parts = [classifier("a"), classifier("b", seed=1)]
    with pytest.raises(Refused, match="merges deltas alone") as error:
        superpose.merge(parts, None, Ties())
    assert "sum and average" in str(error.value)
    found = superpose.merge(parts, None, Average())
    for key, stored in found.replacements.items():
        mean = sum(part.replacements[key].value() for part in parts) / 2
        np.testing.assert_allclose(stored.value(), mean)
    assert superpose.merge(parts, [1.0, 0.0], Sum()).replacements


def test_a_product_too_large_to_be_formed_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beyond the most that is formed, which is put low here."""
    rng = np.random.default_rng(0)
    for module in ("superpose.lowrank.truncation", "superpose.lowrank.terms"):
        monkeypatch.setattr(sys.modules[module], "MOST_OF_ONE", 100)
    wide = Kronecker(1.0, (rng.standard_normal((4, 4)),), (rng.standard_normal((5, 5)),))
    parts = [Adapter({"q": Delta((wide,))}, name) for name in "ab"]
    with pytest.raises(Refused, match="as factors of rank 20") as error:
        merged(parts, Tsv())
    assert "superpose add ADAPTER --rank 64 -o SMALL" in str(error.value)
    assert merged([part.compress(3) for part in parts], Tsv()).rank <= 6
