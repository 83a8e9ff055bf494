"""The forecast on samples of known losses: every subset, disturbances by module, and advice."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from tests.shown.reading import Reading

from superpose.errors import BadInput
from superpose.landscape.advice import advise
from superpose.landscape.forecast import Forecast
from superpose.landscape.sample import Sample
from superpose.landscape.saturation import saturated
from superpose.landscape.subsets import design_points, subsets
from superpose.statistics import student_quantile

MODULES = ("layers.0.q_proj", "layers.0.v_proj", "layers.1.q_proj")


class Known:
    """K domains whose losses are known, by module: own gain, and what each other costs.

    saturation: of what the others cost together.
    """

    def __init__(
        self, adapters: int, cost: float, rows: int = 12, seed: int = 0, saturation: float = 0.0
    ) -> None:
        rng = np.random.default_rng(seed)
        self.adapters, self.rows, self.saturation = adapters, rows, saturation
        self.share = np.array([0.5, 0.3, 0.2])
        self.tokens = rng.integers(3, 30, rows)
        self.noise = rng.normal(size=(adapters, rows), scale=0.1)
        self.cost = cost * (0.5 + rng.random((adapters, adapters)))

    def slope(self, domain: int, point: np.ndarray) -> np.ndarray:
        """The derivative of `loss`: the own adapter gains 1, the others cost half of `cost`."""
        others = self.cost[domain] * point * self.seen(domain, point)[1]
        left = 1.0 - point[domain]
        others[domain] = -0.5 * left - 3.0 * left**3
        return others

    def seen(self, domain: int, point: np.ndarray) -> tuple[float, float]:
        """What the others cost together, and its derivative by what it was before it saturated."""
        costs = 0.5 * self.cost[domain] * point**2
        costs[domain] = 0
        cost, slope = saturated(costs.sum(), self.saturation)
        return float(cost), float(slope)

    def loss(self, domain: int, point: np.ndarray) -> float:
        left = 1.0 - point[domain]
        return 2.0 + float(0.25 * left**2 + 0.75 * left**4) + self.seen(domain, point)[0]

    def sample(self, domain: int) -> Sample:
        with_slope, plain = design_points(domain, self.adapters)
        points = np.array([*with_slope, *plain])
        nll = np.array([self.tokens * (self.loss(domain, p) + self.noise[domain]) for p in points])
        gradient = np.full((len(points), self.rows, len(MODULES), self.adapters), np.nan)
        for p, point in enumerate(with_slope):
            gradient[p] = (
                self.tokens[:, None, None] * self.share[:, None] * self.slope(domain, point)
            )
        return Sample(points, nll, gradient, self.tokens, MODULES)

    def forecast(self) -> Forecast:
        names = tuple("abcdefghijklmnop"[: self.adapters])
        domains = tuple(f"{name}.jsonl" for name in names)
        return Forecast(names, domains, tuple(map(self.sample, range(self.adapters))))


@pytest.mark.parametrize("adapters", [1, 2, 3, 5])
def test_every_subset_is_predicted_on_every_domain(adapters: int) -> None:
    known = Known(adapters, 0.3)
    rows = known.forecast().every_subset()
    assert len(rows) == 2**adapters * adapters
    for row, (point, domain) in zip(
        rows, itertools.product(subsets(adapters), range(adapters)), strict=True
    ):
        noise = float((known.tokens * known.noise[domain]).sum() / known.tokens.sum())
        right = known.loss(domain, np.array(point)) + noise
        assert row.nll == pytest.approx(right)
        assert row.nll_low < row.nll < row.nll_high
        own = np.eye(adapters)[domain]
        assert row.interference == pytest.approx(
            known.loss(domain, np.array(point)) - known.loss(domain, own)
        )
        assert row.interference_low <= row.interference <= row.interference_high
        assert tuple(row.weights.values()) == point
        measured = known.sample(domain).at(np.array(point)) is not None
        assert row.how == ("measured" if measured else "foretold")
        assert row.to_json()["perplexity"] == pytest.approx(np.exp(right))


def test_what_was_measured_is_told_with_the_interval_of_its_rows_alone() -> None:
    """However far the polynomial may miss elsewhere."""
    known = Known(3, 0.4)
    bent = known.sample(0)
    bent.nll[:] += 0.3 * np.random.default_rng(0).normal(size=bent.nll.shape) * bent.tokens
    found = Forecast(("a", "b", "c"), ("x", "y", "z"), (bent, known.sample(1), known.sample(2)))
    pair, triple = (row for row in found.predict([[1, 1, 0], [1, 1, 1]]) if row.domain == "x")
    third = found.predict([[1, 0.5, 0]])[0]
    assert (pair.how, triple.how, third.how) == ("measured", "measured", "foretold")
    for row, at in ((pair, 1), (triple, 4)):
        mean = bent.nll[at].sum() / bent.tokens.sum()
        spread = np.std(bent.nll[at] - mean * bent.tokens, ddof=1)
        half = student_quantile(0.975, 11) * spread * np.sqrt(12) / bent.tokens.sum()
        assert row.nll == pytest.approx(mean, abs=1e-12)
        assert (row.nll_low, row.nll_high) == pytest.approx((mean - half, mean + half))
    lost = {(d.domain, d.adapter): d for d in found.disturbances()}
    other = lost["x", "b"]
    assert (pair.interference, pair.interference_low, pair.interference_high) == pytest.approx(
        (other.nll, other.nll_low, other.nll_high)
    )


def test_without_slopes_what_was_measured_is_told_and_nothing_else() -> None:
    known = Known(3, 0.4)
    points = [[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1], [0.5, 0.5, 0.5]]
    samples = []
    for i in range(3):
        at = np.array([np.roll(point, i) for point in points])
        nll = np.array([known.tokens * (known.loss(i, p) + known.noise[i]) for p in at])
        slopes = np.full((len(at), known.rows, 1, 3), np.nan)
        samples.append(Sample(at, nll, slopes, known.tokens, ("m",)))
    found = Forecast(("a", "b", "c"), ("x", "y", "z"), tuple(samples))
    assert not found.foretells
    rows = found.known()
    assert [tuple(row.weights.values()) for row in rows if row.domain == "x"] == [
        tuple(point) for point in points
    ]
    assert {row.how for row in rows} == {"measured"}
    full = known.forecast()
    for row in rows[:-3]:
        (same,) = (
            other for other in full.predict([list(row.weights.values())])
            if other.domain[0] == "abc"["xyz".index(row.domain)]
        )  # fmt: skip
        assert same.how == "measured" or row.weights == {"a": 1, "b": 1, "c": 1}
        assert row.nll == pytest.approx(same.nll)
        assert (row.nll_low, row.nll_high) == pytest.approx((same.nll_low, same.nll_high))
    assert found.predict([[0.3, 0.3, 0.3]]) == []
    both = found.disturbances(), full.disturbances()
    assert [d.nll for d in both[0]] == pytest.approx([d.nll for d in both[1]])
    assert all(not d.modules for d in found.disturbances())
    table, lost = Reading(found._repr_html_()).tables
    assert table.rows[1][0] == "base"
    assert table.rows[2][2:] == ["", ""]
    assert lost.rows[0] == ["domain", "a", "b", "c"]


def test_a_disturbance_is_shared_among_modules_and_the_parts_sum_to_it() -> None:
    known = Known(3, 0.4)
    found = known.forecast().disturbances()
    assert len(found) == 6
    assert [d.nll for d in found] == sorted((d.nll for d in found), reverse=True)
    for disturbance in found:
        i, j = "abc".index(disturbance.domain[0]), "abc".index(disturbance.adapter)
        assert disturbance.nll == pytest.approx(0.5 * known.cost[i, j])
        assert sum(disturbance.modules.values()) == pytest.approx(disturbance.nll)
        assert disturbance.modules["layers.0.v_proj"] == pytest.approx(0.3 * disturbance.nll)
        assert disturbance.kinds() == pytest.approx(
            {"q_proj": 0.7 * disturbance.nll, "v_proj": 0.3 * disturbance.nll}
        )
        assert disturbance.nll_low <= disturbance.nll <= disturbance.nll_high


def test_beyond_second_order_the_parts_still_sum_to_the_measured_total() -> None:
    known = Known(2, 0.4)
    sample = known.sample(0)
    bent = sample.nll.copy()
    bent[1] += 0.1 * sample.tokens
    changed = Sample(sample.points, bent, sample.gradient, sample.tokens, MODULES)
    found = Forecast(("a", "b"), ("x", "y"), (changed, known.sample(1))).disturbances()
    mine = next(d for d in found if d.domain == "x")
    assert mine.nll == pytest.approx(0.5 * known.cost[0, 1] + 0.1)
    assert sum(mine.modules.values()) == pytest.approx(mine.nll)


@pytest.mark.parametrize(
    ("cost", "verdict"),
    [
        (0.02, "add them"),
        (0.3, "add them with these weights"),
        (2.5, "train on merged data instead"),
        (20.0, "keep apart"),
    ],
)
def test_the_advice_follows_what_the_sum_keeps_of_each_gain(cost: float, verdict: str) -> None:
    known = Known(3, cost)
    known.cost[:] = cost
    advice = advise(known.forecast())
    assert advice.verdict == verdict
    assert advice.tuned >= advice.naive - 1e-9
    assert set(advice.weights) == {"a", "b", "c"}
    assert advice.reason


def _gaining(known: Known, size: float, chance: float, domain: int) -> Sample:
    """A domain whose adapter gains `size` nats, more or less by row; what it loses goes along."""
    sample = known.sample(domain)
    by_row = np.random.default_rng(domain).normal(size=known.rows) * chance * known.tokens
    by_row -= by_row.mean()
    own = sample.points[:, [domain]]
    nll = 2.0 * sample.tokens + size * (sample.nll - 2.0 * sample.tokens) + (1 - own) * by_row
    return replace(sample, nll=nll, gradient=size * sample.gradient)


@pytest.mark.parametrize("small", [(0,), (0, 1)])
def test_no_advice_speaks_of_the_share_of_a_gain_that_chance_may_have_made(
    small: tuple[int, ...],
) -> None:
    known = Known(2, 0.02)
    samples = [_gaining(known, 0.001, 0.5, i) if i in small else known.sample(i) for i in range(2)]
    advice = advise(Forecast(("a", "b"), ("x", "y"), tuple(samples)))
    if len(small) == 2:
        assert advice.verdict == "cannot tell"
        assert "%" not in advice.reason
    else:
        assert advice.verdict == "add them"
        assert "least of y's 1 nats" in advice.reason
        assert "left out: x, whose own adapter gains no more than chance" in advice.reason


def test_the_advice_counts_shares_whatever_a_gain_is_in_nats() -> None:
    """A domain whose losses are all five times as large asks for the same weights."""
    forecast = Known(3, 0.8, seed=3).forecast()
    first, *others = forecast.samples
    larger = replace(first, nll=5 * first.nll, gradient=5 * first.gradient)
    scaled = Forecast(forecast.names, forecast.domains, (larger, *others))
    advice, same = advise(forecast), advise(scaled)
    assert same.tuned == pytest.approx(advice.tuned, abs=1e-5)
    assert [*same.weights.values()] == pytest.approx([*advice.weights.values()], abs=1e-3)
    assert advice.tuned > advice.naive + 0.01


def test_no_weights_keep_more_where_the_least_is_kept_than_those_advised() -> None:
    forecast = Known(2, 1.2, seed=5).forecast()
    advice = advise(forecast)
    nothing = np.zeros(2)

    def kept(*weights: float) -> float:
        shares = []
        for i, loss in enumerate(forecast.losses):
            base, own = loss.value(nothing), loss.value(forecast.own(i))
            shares.append((base - loss.value(np.array(weights))) / (base - own))
        return min(shares)

    grid = np.linspace(0, 1.5, 61)
    assert advice.tuned == pytest.approx(kept(*advice.weights.values()), abs=1e-3)
    assert advice.tuned >= max(kept(a, b) for a in grid for b in grid) - 1e-6


def test_adapters_and_domains_have_to_belong_together() -> None:
    known = Known(2, 0.1)
    with pytest.raises(BadInput, match="own domain"):
        Forecast(("a", "b"), ("x",), (known.sample(0),))
    forecast = known.forecast()
    with pytest.raises(BadInput, match="as many task weights"):
        forecast.predict([[1.0, 0.0, 0.0]])
    with pytest.raises(BadInput, match="not finite"):
        forecast.predict([[1.0, np.nan]])


def test_the_best_weights_of_a_subset_are_best_for_its_own_domains() -> None:
    known = Known(3, 0.4, seed=2)
    best = known.forecast().best_of(["a", "c"])
    assert list(best) == ["a", "c"]

    def regret(a: float, c: float) -> float:
        return known.loss(0, np.array([a, 0, c])) + known.loss(2, np.array([a, 0, c]))

    grid = np.linspace(0, 1.5, 31)
    assert regret(*best.values()) <= min(regret(a, c) for a in grid for c in grid) + 1e-6


def test_the_model_that_a_page_gets_predicts_what_the_forecast_predicts() -> None:
    known = Known(4, 0.3)
    found = known.forecast()
    model = json.loads(json.dumps(found.to_model()))
    drawn = np.random.default_rng(3).uniform(-0.5, 1.5, size=(5, 4))
    for weights in [*drawn, np.ones(4), np.array([1.0, 0, 1, 0])]:
        for domain, wanted in zip(model["domains"], found.predict(weights[None]), strict=True):
            own = weights[domain["own"]]
            products = [np.prod(weights[term]) for term in domain["terms"]]
            if domain["triples"]:
                threes = itertools.combinations(domain["triples"], 3)
                products.append(sum(np.prod(weights[list(three)]) for three in threes))
            products.append(0.25 * ((1 - own) ** 2 - 1) + 0.75 * ((1 - own) ** 4 - 1))
            upper = np.zeros((len(products), len(products)))
            upper[np.triu_indices(len(products))] = domain["covariance"]
            covariance = upper + np.triu(upper, 1).T
            twos = itertools.combinations(weights[domain["others"]] ** 2, 2)
            misfit = domain["residual"] ** 2 * (1 + sum(a * b for a, b in twos))
            misfit += (domain["bend"] * 4 * own * (1 - own)) ** 2
            sizes = sum(abs(weights[k]) for k in domain["others"])
            misfit += (domain["away"] * (1 - own) ** 2 * min(1, sizes / domain["full"])) ** 2
            together = [products[t] * domain["coefficients"][t] for t in domain["crossing"]]
            assert len(together) == 3 + 1  # pairs of the three others, and all three
            misfit += (domain["cross"] * sum(together)) ** 2
            if any(np.allclose(weights, point) for point in domain["points"]):
                misfit = 0.0
            spread = np.sqrt(np.array(products) @ covariance @ products + misfit)
            loss = np.array(products) @ domain["coefficients"]
            assert loss == pytest.approx(wanted.nll, abs=1e-12)
            assert loss + domain["quantile"] * spread == pytest.approx(wanted.nll_high, abs=1e-9)
