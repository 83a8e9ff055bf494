"""What every merge method is tried on: its entry, and adapters of every sort a method may meet."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from benchmarks import definitions as oracles, definitions_on_data as on_data
from benchmarks.definitions import Dense, Oracle, by_module, truncated, weighted
from safetensors.numpy import save_file
from tests.compose.domains import direction_weights, informed, moment_of

import superpose
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
    OnBase,
    Orthogonal,
    Pico,
    RegMean,
    RegMeanTuned,
    Ssr,
    Star,
    Sum,
    Svc,
    Ties,
    Tsv,
    TunedSum,
    Wudi,
)
from superpose.errors import SuperposeWarning
from superpose.files.checkpoint import Checkpoint

LAYER = "model.layers.0"
SHAPES = {"self_attn.q_proj": (12, 10), "self_attn.v_proj": (8, 10), "mlp.up_proj": (14, 10)}
WEIGHTS = (1.0, -0.5, 0.3)


@dataclass(frozen=True)
class Entry:
    """One method in the battery.

    make: gives it with settings that leave something to do; base: a tiny model's folder. oracle:
    what it has to give, from dense float64 deltas and their weights, by the definition; of a method
    that draws at random, what it has to give on average over `seeds` values of its field `seed`.
    approximates: what the result is an approximation of, where `made` says what energy it keeps.
    ordered: the order of the adapters counts. gives_one_back: one adapter at weight 1 comes back as
    it is. zero_is_nothing: an adapter of zeros changes nothing. oracle_of: in place of `oracle`, of
    a method that is given something of each adapter's domain, which goes by the adapter's name.
    """

    make: Callable[[Path], Method]
    oracle: Oracle
    seeds: int = 0
    approximates: Oracle = weighted
    ordered: bool = False
    gives_one_back: bool = True
    zero_is_nothing: bool = True
    oracle_of: Callable[[Sequence[Adapter]], Oracle] | None = None

    def defined(self, adapters: Sequence[Adapter]) -> Oracle:
        """Give what the method has to give of these adapters."""
        return self.oracle if self.oracle_of is None else self.oracle_of(adapters)


ENTRIES: Mapping[str, Entry] = {
    "sum": Entry(lambda base: Sum(), weighted),
    "best rank": Entry(lambda base: BestRank(rank=3), lambda d, w: truncated(d, w, 3)),
    "on base": Entry(lambda base: OnBase(Checkpoint.open(base)), weighted),
    "average": Entry(lambda base: Average(), oracles.average, zero_is_nothing=False),
    "equal-norm": Entry(lambda base: EqualNorm(), by_module(oracles.equal_norm)),
    "ties": Entry(
        lambda base: Ties(density=0.3, rank=3),
        lambda d, w: oracles.cut(by_module(oracles.ties(0.3))(d, w), 3),
        approximates=by_module(oracles.ties(0.3)),
        gives_one_back=False,
    ),
    # Their expectation is that of the whole result, not of its best approximation.
    "dare": Entry(lambda base: Dare(rank=10), weighted, seeds=40, gives_one_back=False),
    "dare-ties": Entry(
        lambda base: DareTies(density=0.6, rank=10),
        by_module(oracles.elected_of_draws(lambda x: np.full(x.shape, 0.6))),
        seeds=40,
        gives_one_back=False,
    ),
    "della": Entry(
        lambda base: Della(rank=10),
        by_module(oracles.elected_of_draws(oracles.della_probability(0.5, 0.15))),
        seeds=40,
        gives_one_back=False,
    ),
    "knots": Entry(
        lambda base: Knots(rule=Ties(density=0.3)),
        by_module(oracles.knots(oracles.ties(0.3))),
        gives_one_back=False,
    ),
    "tsv": Entry(lambda base: Tsv(), by_module(oracles.tsv)),
    "iso": Entry(lambda base: Iso(), by_module(oracles.iso), gives_one_back=False),
    "core": Entry(
        lambda base: CoreSpace(rule=Ties(density=0.3)),
        by_module(oracles.core(oracles.ties(0.3))),
        gives_one_back=False,
    ),
    "ctm": Entry(
        lambda base: Ctm(rule=Ties(density=0.5)),
        by_module(oracles.ctm(oracles.ties(0.5), 0.25)),
        gives_one_back=False,
    ),
    "pico": Entry(lambda base: Pico(), by_module(oracles.pico)),
    "wudi": Entry(lambda base: Wudi(), by_module(oracles.wudi(None))),
    "svc": Entry(lambda base: Svc(), by_module(oracles.svc(sum, 0.1))),
    "star": Entry(
        lambda base: Star(),
        by_module(lambda there: oracles.star(sum(there), 0.4)),
        gives_one_back=False,
    ),
    "orthogonal": Entry(
        lambda base: Orthogonal(), by_module(oracles.orthogonal(1.0)), ordered=True
    ),
}
"""One entry a method, by its name in METHODS."""

DATA_ENTRIES: Mapping[str, Entry] = {
    "regmean": Entry(
        lambda base: RegMean(ridge=0.01),
        weighted,
        oracle_of=lambda adapters: on_data.regmean([moment_of(a) for a in adapters], 0.01),
        gives_one_back=False,
        zero_is_nothing=False,
    ),
    "ssr": Entry(
        lambda base: Ssr(ridge=0.01),
        weighted,
        oracle_of=lambda adapters: on_data.ssr([moment_of(a) for a in adapters], 0.01),
        gives_one_back=False,
    ),
    "tuned": Entry(
        lambda base: TunedSum(),
        weighted,
        oracle_of=lambda adapters: on_data.by_direction([direction_weights(a) for a in adapters]),
        gives_one_back=False,
    ),
    "regmean-tuned": Entry(
        lambda base: RegMeanTuned(ridge=0.01, by="direction"),
        weighted,
        oracle_of=lambda adapters: on_data.regmean_by_direction(
            [moment_of(a) for a in adapters], 0.01, [direction_weights(a) for a in adapters]
        ),
        gives_one_back=False,
        zero_is_nothing=False,
    ),
}
"""One entry a method in FROM_DATA, which `merged` gives what it needs of the adapters' domains."""

VARIANTS: Mapping[str, Entry] = {
    "iso, cts": Entry(
        lambda base: Iso(variant="cts", common=0.5),
        by_module(oracles.iso_cts(0.5)),
        gives_one_back=False,
    ),
    "tsv at a rank": Entry(
        lambda base: Tsv(rank=2),
        lambda d, w: oracles.cut(by_module(oracles.tsv)(d, w), 2),
        approximates=by_module(oracles.tsv),
        gives_one_back=False,
    ),
    "core, tsv": Entry(lambda base: CoreSpace(rule=Tsv()), by_module(oracles.tsv)),
    "ctm of rank 2": Entry(
        lambda base: Ctm(rank=2, beta=1.0, rule=Sum()),
        by_module(oracles.ctm(sum, 1.0, 2)),
        gives_one_back=False,
    ),
    "wudi without a ridge": Entry(lambda base: Wudi(ridge=0.0), by_module(oracles.wudi(0.0))),
    "svc after ties": Entry(
        lambda base: Svc(alpha=1.0, rule=Ties(density=0.4), rank=10),
        by_module(oracles.svc(oracles.ties(0.4), 1.0)),
        gives_one_back=False,
    ),
    "star of each": Entry(
        lambda base: Star(each=True, eta=0.6),
        by_module(lambda there: sum(oracles.star(x, 0.6) for x in there)),
        gives_one_back=False,
    ),
    "orthogonal, soft": Entry(
        lambda base: Orthogonal(mu=1.0), by_module(oracles.orthogonal(0.5)), ordered=True
    ),
}
"""Other settings of methods that are made differently for them."""


def adapter(
    seed: int, name: str, rank: int = 3, modules: Sequence[str] = tuple(SHAPES), layer: str = LAYER
) -> Adapter:
    """Build an adapter with read-only float64 factors."""
    rng = np.random.default_rng(seed)
    deltas = {}
    for module in modules:
        out, in_ = SHAPES[module]
        B, A = rng.standard_normal((out, rank)), rng.standard_normal((rank, in_))
        deltas[f"{layer}.{module}"] = delta(B, A, float(rng.uniform(0.5, 2.0)))
    return Adapter(deltas, name, "org/tiny")


def delta(B: np.ndarray, A: np.ndarray, scaling: float = 1.0) -> Delta:
    """A delta whose factors cannot be written to."""
    for factor in (B, A):
        factor.flags.writeable = False
    return Delta.of(B, A, scaling)


def three() -> list[Adapter]:
    """Three of different ranks and modules, which overlap."""
    modules = tuple(SHAPES)
    return [
        adapter(1, "math", 3),
        adapter(2, "law", 2, modules[:2]),
        adapter(3, "art", 1, modules[1:]),
    ]


def rebuilt(given: Adapter, change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]]
            ) -> Adapter:  # fmt: skip
    """Give an adapter of other factors, with the same name."""
    deltas = {}
    for module, each in given.items():
        ((c, B, A),) = each.terms
        left, right = change(B, A)
        deltas[module] = delta(left, right, c)
    return Adapter(deltas, given.name, given.base_model)


def dense(given: Adapter) -> Dense:
    """Every delta in float64, by the definition."""
    return {
        module: sum((c * B @ A for c, B, A in each.terms), start=np.zeros(each.shape))
        for module, each in given.items()
    }


def merged(
    adapters: Sequence[Adapter], method: Method, weights: Sequence[float] | None = None
) -> Adapter:
    """Merge; what is said of ranks that are not exceeded and of names is not what is tried."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperposeWarning)
        return superpose.merge(adapters, weights, told_of(method, adapters))


def told_of(method: Method, adapters: Sequence[Adapter]) -> Method:
    """Give a method what it asks of the adapters' domains."""
    return informed(method, adapters, [f"{LAYER}.{module}" for module in SHAPES])


def assert_close(found: Dense, right: Dense, tolerance: float = 1e-9) -> None:
    """Compare over all modules, entry by entry."""
    assert set(found) == set(right)
    for module, value in right.items():
        np.testing.assert_allclose(found[module], value, atol=tolerance, err_msg=module)


def assert_defined(
    entry: Entry, method: Method, adapters: Sequence[Adapter], weights: Sequence[float]
) -> None:
    """Compare with the definition; at random, the mean within six of its standard errors."""
    right = entry.defined(adapters)([dense(each) for each in adapters], weights)
    if not entry.seeds:
        assert_close(dense(merged(adapters, method, weights)), right)
        return
    draws = [replace(method, seed=seed) for seed in range(entry.seeds)]  # type: ignore[call-arg]
    results = [dense(merged(adapters, draw, weights)) for draw in draws]
    for module, value in right.items():
        drawn = np.stack([result[module] for result in results])
        error = drawn.std(axis=0) / np.sqrt(len(drawn))
        assert (np.abs(drawn.mean(axis=0) - value) <= 6.0 * error + 1e-9).all(), module


def write_base(folder: Path) -> Path:
    """Write a model's folder that has the layers of all adapters here."""
    folder.mkdir()
    rng = np.random.default_rng(9)
    names = {f"{LAYER}.{module}.weight": shape for module, shape in SHAPES.items()}
    tensors = {name: rng.standard_normal(shape).astype("f4") for name, shape in names.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}), encoding="utf-8")
    return folder
