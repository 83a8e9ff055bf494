"""The second run's headlines from its row losses, by NumPy alone: no line of superpose is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.mid_ranks import ranks


def check_second_run(record: dict[str, Any], file: Path) -> None:
    """Recompute the headlines from row losses, and hold them against the record."""
    arrays = dict(np.load(file))
    names = record["adapters"]

    def loss(part: str, seed: int, domain: str, point: np.ndarray) -> float:
        held = {key: arrays[f"{part}|{seed}|{domain}|{key}"] for key in ("points", "nll", "tokens")}
        at = np.abs(held["points"] - point).max(axis=1).argmin()
        assert np.abs(held["points"][at] - point).max() < 1e-6
        return float(held["nll"][at].astype(np.float64).sum() / held["tokens"].sum())

    truth, evaluated, sizes = [], [], []
    place = [each["name"] for each in record["predictors"]].index("sum evaluated")
    for _, seed, members, domain, interference, figures in record["points"]:
        own = np.array([float(name == domain) for name in names])
        both = np.array([float(name in members.split("+")) for name in names])
        found = loss("test", seed, domain, both) - loss("test", seed, domain, own)
        assert interference == pytest.approx(found, abs=2e-6)
        part = "slopes" if both.sum() == 2 else "evaluated"
        more = loss(part, seed, domain, both) - loss("evaluated", seed, domain, own)
        assert figures[place] == pytest.approx(more, abs=2e-4)
        truth.append(found)
        evaluated.append(more)
        sizes.append(both.sum())
    told = record["predictors"][place]["groups"]
    for group, size in (("all", None), ("pairs", 2), ("triples", 3), ("quadruples", 4)):
        chosen = [size in (None, each) for each in sizes]
        x, y = np.array(evaluated)[chosen], np.array(truth)[chosen]
        assert told[group]["spearman"] == pytest.approx(
            np.corrcoef(ranks(x), ranks(y))[0, 1], abs=5e-3
        )
        assert told[group]["error"] == pytest.approx(np.abs(x - y).mean(), rel=1e-2, abs=1e-5)
    for group in record["coverage"]["groups"]:
        key = [group["adapters"], group["kind"], group["rows"]]
        those = [t for t in record["coverage"]["told"] if t[:3] == key]
        assert group["n"] == len(those)
        held = [low <= x <= high for *_, low, high, x, _ in those]
        if group["rows"] == "calibration":
            held = [abs(told - x) <= misfit for *_, told, misfit, _, _, x, _ in those]
        assert group["held"] == sum(held)
        before = [abs(t[5] - t[-2]) <= t[6] for t in those]
        assert group["held_before"] == sum(before)
        if group["adapters"] == 9:  # of one seed: what nobody had looked at when it was counted
            then = [abs(t[8] - t[-2]) <= t[7] for t in those]
            met = [abs(t[8] - t[-2]) <= np.hypot(t[7], t[-1]) for t in those]
            assert group["fresh"] == [sum(then), len(those)]
            assert group["fresh_met"] == [sum(met), len(those)]
    check_predictors(record)
    if record["right"]:
        check_right_answers(record, arrays, names)
    check_beside(record, arrays)


def check_predictors(record: dict[str, Any]) -> None:
    """Hold every predictor's correlation, error and bias against the figures of its points."""
    truth = np.array([point[4] for point in record["points"]])
    sizes = np.array([point[2].count("+") + 1 for point in record["points"]])
    for place, predictor in enumerate(record["predictors"]):
        figures = np.array([p[5][place] for p in record["points"]], dtype=float)
        for group, size in (("all", None), ("pairs", 2), ("triples", 3), ("quadruples", 4)):
            told = predictor["groups"][group]
            chosen = np.isfinite(figures) & ((sizes == size) | (size is None))
            x, y = figures[chosen], truth[chosen]
            if told is None or told["spearman"] is None:
                assert not len(x) or not np.ptp(x)
                continue
            assert told["n"] == len(x)
            found = np.corrcoef(ranks(x), ranks(y))[0, 1]
            assert told["spearman"] == pytest.approx(found, abs=1e-3), predictor["name"]
            if predictor["in_nats"]:
                assert told["error"] == pytest.approx(np.abs(x - y).mean(), rel=1e-3)
                assert told["bias"] == pytest.approx((x - y).mean(), rel=1e-3, abs=1e-5)


def check_beside(record: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Hold dPPL of the trained pair and against merged data, and both rankings of the pairs."""

    def dppl(mine: list[np.ndarray], theirs: list[np.ndarray], tokens: list[np.ndarray]) -> float:
        one, other, count = (np.concatenate(each).astype(float).sum() for each in (
            mine, theirs, tokens,
        ))  # fmt: skip
        return 100 * (np.exp(one / count) / np.exp(other / count) - 1)

    for each in (record["signs"] or {"trainings": ()})["trainings"]:
        where = [f"signs|{each['rate']:g}-{each['epochs']}|{name}" for name in each["pair"]]
        for way in ("merged-epochs", "merged-steps"):
            found = dppl(*([arrays[f"{w}|{key}"] for w in where] for key in ("sum", way, "tokens")))
            assert each[way]["percent"] == pytest.approx(found, abs=1e-2)
    for each in record["merged"]:
        seed, domains = each["seed"], each["domains"]
        where = [f"merged|{seed}-{'+'.join(domains)}|{name}" for name in domains]
        both = np.array([float(name in domains) for name in record["adapters"]])
        naive = []
        for name, place in zip(domains, where, strict=True):
            points, nll = (arrays[f"test|{seed}|{name}|{key}"] for key in ("points", "nll"))
            at = np.abs(points - both).max(axis=1).argmin()
            naive.append(nll[at][: len(arrays[f"{place}|tokens"])])
        for way in ("merged-epochs", "merged-steps"):
            if each[way]:
                other, tokens = ([arrays[f"{w}|{key}"] for w in where] for key in (way, "tokens"))
                assert each[way]["percent"] == pytest.approx(dppl(naive, other, tokens), abs=1e-2)
    if record["norms"]:
        check_norms(record, arrays)


def check_norms(record: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    points = record["norms"]["points"]
    for seed, members, domain, _, found, _ in points:
        held = {k: arrays[f"matched|{seed}|{domain}|{k}"] for k in ("points", "nll", "tokens")}
        inside = [name in members.split("+") for name in record["adapters"]]
        alone = [name == domain for name in record["adapters"]]
        both, own = (
            held["nll"][((held["points"] > 0) == chosen).all(axis=1)].astype(float).sum()
            for chosen in (inside, alone)
        )
        assert found == pytest.approx((both - own) / held["tokens"].sum(), abs=2e-6)
    truth = np.array([each[4] for each in points])
    for each in record["norms"]["predictors"]:
        if each["matched"] is not None:
            figures = np.array([point[5][each["name"]] for point in points])
            found = np.corrcoef(ranks(figures), ranks(truth))[0, 1]
            assert each["matched"] == pytest.approx(found, abs=1e-3)


def check_right_answers(
    record: dict[str, Any], arrays: dict[str, np.ndarray], names: list[str]
) -> None:
    def accuracy(part: str, seed: int, domain: str, members: list[str]) -> float:
        points, nll, right = (
            arrays[f"{part}|{seed}|{domain}|{key}"] for key in ("points", "choices", "right")
        )
        point = np.array([float(name in members) for name in names])
        values = np.nan_to_num(nll[np.abs(points - point).max(axis=1).argmin()], nan=np.inf)
        return float(np.mean(values.argmin(axis=1) == right))

    told = record["right"]["told"]
    measured = np.array([each[3] for each in told])
    for seed, members, domain, found, _, evaluated, own, *_ in told:
        assert found == pytest.approx(accuracy("test", seed, domain, members.split("+")), abs=1e-4)
        assert evaluated == pytest.approx(
            accuracy("evaluated", seed, domain, members.split("+")), abs=1e-4
        )
        assert own == pytest.approx(accuracy("evaluated", seed, domain, [domain]), abs=1e-4)
    places = {"foretold": 4, "evaluated": 5, "own": 6, "predicted": 7, "same": 8, "anchored": 9}
    for way, column in places.items():
        off = np.abs(np.array([each[column] for each in told]) - measured).mean()
        assert record["right"]["ways"][way]["points"] == pytest.approx(100 * off, abs=1e-2)
