"""Who depends on how a file was split: one set of deltas in other factors, merged again.

    python -m benchmarks.splits

Measures, writes results/splits.json and the table in docs/merging.md. Published ways are PEFT's own
`add_weighted_adapter`, and formulas that are re-implemented here from their papers, on the factors
as files hold them.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from benchmarks import definitions
from benchmarks.readme import write_block
from benchmarks.result import RESULTS, stamp

__all__ = ["COMMAND", "PAGE", "SPLITS", "measure", "published", "table"]

COMMAND = "python -m benchmarks.splits"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "merging.md"

Factors: TypeAlias = Mapping[str, tuple[np.ndarray, np.ndarray]]
Way: TypeAlias = Callable[[Sequence[Factors]], Mapping[str, np.ndarray]]

SHAPES = {"q_proj": (192, 128), "down_proj": (128, 384)}
RANK, ADAPTERS, DENSITY = 8, 3, 0.2
EXACT = 1e-9


def adapters() -> list[Factors]:
    """As training leaves them: A near where PEFT starts it, B small, its columns falling."""
    rng = np.random.default_rng(0)
    falling = 0.7 ** np.arange(RANK)
    found = []
    for _ in range(ADAPTERS):
        made = {}
        for name, (high, wide) in SHAPES.items():
            B = 0.02 * falling * rng.standard_normal((high, RANK))
            made[name] = B, rng.uniform(-1.0, 1.0, (RANK, wide)) * np.sqrt(3.0 / wide)
        found.append(made)
    return found


def balanced(given: Sequence[Factors]) -> list[Factors]:
    """What a writer leaves that goes by the SVD."""

    def split(B: np.ndarray, A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        U, s, Vt = definitions.svd(B @ A)
        return U * np.sqrt(s), np.sqrt(s)[:, None] * Vt

    return [{name: split(*pair) for name, pair in each.items()} for each in given]


def scaled(given: Sequence[Factors]) -> list[Factors]:
    """One adapter with B four times as large, and A as much smaller."""
    first = {name: (4.0 * B, A / 4.0) for name, (B, A) in given[0].items()}
    return [first, *given[1:]]


def rotated(given: Sequence[Factors]) -> list[Factors]:
    """An orthogonal matrix between the factors of each."""
    rng = np.random.default_rng(1)

    def turned(B: np.ndarray, A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        Q = np.linalg.qr(rng.standard_normal((len(A), len(A))))[0]
        return B @ Q.T, Q @ A

    return [{name: turned(*pair) for name, pair in each.items()} for each in given]


SPLITS: Mapping[str, Callable[[Sequence[Factors]], list[Factors]]] = {
    "balanced (an SVD's)": balanced,
    "one with 4 B and A / 4": scaled,
    "rotated": rotated,
}


def ours(name: str) -> Way:
    """A method of superpose, at its own settings."""
    import superpose
    from superpose.compose import METHODS
    from superpose.lowrank import dense

    def merged(given: Sequence[Factors]) -> Mapping[str, np.ndarray]:
        parts = [
            superpose.Adapter({n: superpose.Delta.of(*pair) for n, pair in each.items()}, f"a{i}")
            for i, each in enumerate(given)
        ]
        found = superpose.merge(parts, None, METHODS[name]())
        return {module: np.asarray(dense(delta.terms)) for module, delta in found.items()}

    return merged


def by_factors(rule: Callable[[list[np.ndarray], list[np.ndarray]], np.ndarray]) -> Way:
    """A way that takes one module's factors as they stand."""

    def merged(given: Sequence[Factors]) -> Mapping[str, np.ndarray]:
        return {
            name: rule([each[name][0] for each in given], [each[name][1] for each in given])
            for name in SHAPES
        }

    return merged


def core_ties(Bs: list[np.ndarray], As: list[np.ndarray]) -> np.ndarray:
    """TIES between the singular vectors of the stacked factors (arXiv 2509.17786)."""
    U = definitions.svd(definitions.side_by_side(Bs))[0]
    Vt = definitions.svd(np.concatenate(As))[2]
    cores = [U.T @ B @ A @ Vt.T for B, A in zip(Bs, As, strict=True)]
    return U @ definitions.ties(DENSITY)(cores) @ Vt


def pico(Bs: list[np.ndarray], As: list[np.ndarray]) -> np.ndarray:
    """Outputs turned down by their share in the stacked B (arXiv 2604.16826)."""
    U, sigma, _ = definitions.svd(definitions.side_by_side(Bs))
    a = 1.0 / (1.0 + (len(Bs) - 1) * sigma**2 / np.sum(sigma**2))
    deltas = [B @ A for B, A in zip(Bs, As, strict=True)]
    total = sum(D + U @ ((a - 1.0)[:, None] * (U.T @ D)) for D in deltas)
    mean = np.mean([np.linalg.norm(D) for D in deltas])
    return np.asarray(total * mean / np.linalg.norm(total))


def peft(kind: str) -> Way:
    """PEFT's add_weighted_adapter, on modules of these shapes."""

    def merged(given: Sequence[Factors]) -> Mapping[str, np.ndarray]:
        import torch
        from peft import LoraConfig, get_peft_model

        class Model(torch.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                for name, (high, wide) in SHAPES.items():
                    setattr(self, name, torch.nn.Linear(wide, high, bias=False))

        config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(SHAPES))
        model = get_peft_model(Model(), config, adapter_name="a0")
        names = [f"a{i}" for i in range(len(given))]
        for name in names[1:]:
            model.add_adapter(name, config)
        model = model.double()
        for name, each in zip(names, given, strict=True):
            for module, (B, A) in each.items():
                layer = getattr(model.base_model.model, module)
                layer.lora_B[name].weight.data = torch.from_numpy(B.copy())
                layer.lora_A[name].weight.data = torch.from_numpy(A.copy())
        density = {} if kind in ("linear", "cat", "svd") else {"density": DENSITY}
        rank = {"svd_rank": RANK * len(given)} if kind.endswith("svd") else {}
        model.add_weighted_adapter(
            names, [1.0] * len(given), "sum", combination_type=kind, **density, **rank
        )
        layers = {module: getattr(model.base_model.model, module) for module in SHAPES}
        return {m: layer.get_delta_weight("sum").numpy() for m, layer in layers.items()}

    return merged


def published() -> dict[str, Way]:
    """The ways that are compared beside superpose's own, by what the table calls them."""
    return {
        "core-space TIES, as published": by_factors(core_ties),
        "Pico, as published": by_factors(pico),
        **{f"PEFT `{kind}`": peft(kind) for kind in ("cat", "ties_svd", "ties", "linear")},
        "PEFT `magnitude_prune`": peft("magnitude_prune"),
    }


def measure() -> dict[str, Any]:
    """|merged again - merged| / |merged| of every way in every split."""
    from superpose.compose import METHODS

    ways = {f"superpose `{name}`": ours(name) for name in METHODS if " " not in name}
    given = adapters()
    rows = []
    for name, way in (ways | published()).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            right = way(given)
            again = {split: way(other(given)) for split, other in SPLITS.items()}
        rows.append({"way": name} | {split: _apart(x, right) for split, x in again.items()})
    return {"rows": rows, "measured_with": stamp()}


def table(record: Mapping[str, Any]) -> str:
    """The record as Markdown; what is more than rounding is bold."""
    lines = [f"| method | {' | '.join(SPLITS)} |", "| --- |" + " ---: |" * len(SPLITS)]
    for row in record["rows"]:
        cells = " | ".join(_cell(row[split]) for split in SPLITS)
        lines.append(f"| {row['way']} | {cells} |")
    return "\n".join(lines)


def _cell(value: float) -> str:
    return "same" if value < EXACT else f"**{value:.2f}**" if value >= 0.005 else f"**{value:.0e}**"


def _apart(found: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> float:
    both = [(found[name], right[name]) for name in SHAPES]
    square = sum(float(np.sum((x - y) ** 2)) for x, y in both)
    return float(np.sqrt(square / sum(float(np.sum(y * y)) for _, y in both)))


def main() -> None:
    """Measure, and write the record and the page's table."""
    record = measure()
    RESULTS.joinpath("splits.json").write_text(json.dumps(record, indent=1) + "\n")
    write_block(COMMAND, table(record), PAGE)


if __name__ == "__main__":
    main()
