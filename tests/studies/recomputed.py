"""A study's figures made again from its rows.npz: NumPy and the standard library, nothing of ours.

    python tests/studies/recomputed.py runs/smollm2

prints the largest deviation from table.csv and from summary.json. Intervals are percentile
bootstraps over test questions: 2,000 resamples by multinomial multiplicities of generator 0, of a
comparison on the rows' means over seeds; of several seeds a change has Student's margin over seeds
joined with the bootstrap's in squares, on logarithms.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

QUANTILE = {2: 12.706204736174706, 3: 4.302652729749464, 4: 3.182446305283708}
"""Student's 97.5 % point by the number of seeds."""


class Rows:
    """Row losses by model and domain; `union` joins those of the subset."""

    def __init__(self, path: Path) -> None:
        held = np.load(path, allow_pickle=False)
        self.domains = list(held["domains"])
        self.tokens = [held[f"tokens_{d}"] for d in range(len(self.domains))]
        nll = [held[f"nll_{d}"] for d in range(len(self.domains))]
        names = zip(held["method"], held["subset"], held["seed"], strict=True)
        self.models = {name: [table[c] for table in nll] for c, name in enumerate(names)}

    @property
    def seeds(self) -> list[str]:
        """The seeds, in the study's order."""
        return list(dict.fromkeys(seed for *_, seed in self.models if seed))

    def of(self, method: str, subset: str, seed: str, domain: str) -> np.ndarray:
        """Nats of each row (R,); `single` of a subset stands for each domain's own adapter."""
        if domain == "union":
            return np.concatenate([self.of(method, subset, seed, d) for d in subset.split("+")])
        if method == "base":
            subset, seed = "", ""
        elif method == "single" and domain in subset.split("+"):
            subset = domain
        return self.models[method, subset, seed][self.domains.index(domain)]

    def tokens_of(self, subset: str, domain: str) -> np.ndarray:
        """Answer tokens of each row (R,)."""
        wanted = subset.split("+") if domain == "union" else [domain]
        return np.concatenate([self.tokens[self.domains.index(d)] for d in wanted])


def resampled(top: np.ndarray, below: np.ndarray) -> tuple[float, float]:
    """Ends of the 95 % interval of sum(top) / sum(below) over rows."""
    n = len(top)
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=2000).astype(float)
    low, high = np.quantile((drawn @ top) / (drawn @ below), [0.025, 0.975])
    return float(low), float(high)


def change(rows: Rows, methods: tuple[str, str], subset: str, domain: str) -> dict[str, Any]:
    """DPPL % of one method against another: by seed, over rows, and over rows and seeds."""
    found = [[rows.of(m, subset, s, domain) for s in rows.seeds] for m in methods]
    tokens = rows.tokens_of(subset, domain)
    logs = [(a.sum() - b.sum()) / tokens.sum() for a, b in zip(*found, strict=True)]
    low, high = resampled(np.mean(found[0], axis=0) - np.mean(found[1], axis=0), tokens)
    values, over_rows = (100 * np.expm1(x) for x in (logs, [low, high]))
    if (seeds := len(logs)) > 1:
        half, middle = QUANTILE[seeds] * np.std(logs, ddof=1) / math.sqrt(seeds), np.mean(logs)
        low = middle - math.hypot(half, max(middle - low, 0))
        high = middle + math.hypot(half, max(high - middle, 0))
    return {"values": values, "interval": over_rows, "ends": 100 * np.expm1([low, high])}


def against_sum(rows: Rows, method: str, subset: str, domain: str) -> tuple[float, float]:
    """Nats an answer token more than the naive sum, and the standard error: rows plus seeds."""
    apart = [
        rows.of(method, subset, seed, domain) - rows.of("sum", subset, seed, domain)
        for seed in rows.seeds
    ]
    tokens = rows.tokens_of(subset, domain)
    by_seed = np.array([each.sum() / tokens.sum() for each in apart])
    residuals = np.mean(apart, axis=0) - by_seed.mean() * tokens
    error = len(tokens) * residuals.var(ddof=1) / tokens.sum() ** 2
    if len(by_seed) > 1:
        error += by_seed.var(ddof=1) / len(by_seed)
    return float(by_seed.mean()), float(np.sqrt(error))


def share(rows: Rows, method: str, subset: str, domain: str) -> tuple[float, float, float] | None:
    """What is left of the own adapter's gain, with its interval; None where nothing is gained."""
    mean = [
        np.mean([rows.of(m, subset, s, domain) for s in rows.seeds], axis=0)
        for m in ("base", method, "single")
    ]
    left, gain = mean[0] - mean[1], mean[0] - mean[2]
    return None if gain.sum() <= 0 else (left.sum() / gain.sum(), *resampled(left, gain))


def deviations(run: Path) -> Iterator[tuple[str, float]]:
    """Each figure of table.csv and summary.json by name, and how far ours is from it."""
    rows = Rows(run / "rows.npz")
    with (run / "table.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            where = (line["method"], line["subset"], line["seed"], line["domain"])
            tokens, nll = rows.tokens_of(line["subset"], line["domain"]), rows.of(*where)
            ours = np.exp([nll.sum() / tokens.sum(), *resampled(nll, tokens)])
            theirs = [
                float(line[key]) for key in ("perplexity", "perplexity_low", "perplexity_high")
            ]
            yield f"table {where}", _apart(ours / theirs, [1, 1, 1])
    summary = json.loads((run / "summary.json").read_text())
    for row in summary.get("against_sum", ()):
        where = row["method"], "+".join(row["subset"]), row["domain"]
        said = [row["difference"], row["error"]]
        yield f"against the sum {where}", _apart(against_sum(rows, *where), said)
    for row in summary["methods"]:
        subset, domain, method = "+".join(row["subset"]), row["domain"], row["method"]
        for against in ("merged", "single"):
            if method != against:
                found = change(rows, (method, against), subset, domain)
                said = row[f"dppl_{against}"]
                ours = [*found["values"], *found["interval"]]
                apart = _apart(ours, [*said["values"], *said["interval"]])
                yield f"{method} against {against}, {subset} on {domain}", apart / 100
        kept = share(rows, method, subset, domain)
        if kept is not None:
            said = [row["kept"]["share"], *row["kept"]["interval"]]
            yield f"kept by {method}, {subset} on {domain}", _apart(kept, said)


def _apart(ours: Sequence[float] | np.ndarray, theirs: Sequence[float]) -> float:
    return float(np.max(np.abs(np.asarray(ours) - np.asarray(theirs))))


if __name__ == "__main__":
    name, largest = max(deviations(Path(sys.argv[1])), key=lambda each: each[1])
    sys.stdout.write(f"largest deviation {largest:.1e}: {name}\n")
