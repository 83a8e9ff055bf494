"""Hold a demo's results against what the demo promises; ends with 1 where they fall short.

superpose demo && python scripts/demo_holds.py superpose-demo
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NOISE = 0.05
"""Nats an answer token that predicted and measured may always differ by, on so few rows."""

FACTOR = 5.0
"""Otherwise a pair's predicted and measured interference lie within this factor of each other."""


def shortfalls(run: Path) -> list[str]:
    """What the run in this folder does not keep of the promises, in words."""
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    rows = summary["own_adapters"]
    found = []
    for domain in summary["domains"]:
        base, own = (rows[model][domain]["mean"] for model in ("base", domain))
        print(f"{domain}: base {base:.2f}, own adapter {own:.2f}")
        if own > base / 2:
            found.append(f"the {domain} adapter does not halve the base's perplexity")
    if not (run / "superposition" / "adapter_model.safetensors").exists():
        found.append("the sum was not written")
    if not (run / "page.html").exists():
        found.append("the page was not written")
    return found + list(_of_forecast(summary))


def _of_forecast(summary: Mapping[str, Any]) -> Iterator[str]:
    """Whether there is a forecast, and whether it saw what the pairs cost."""
    if summary["forecast"] is None:
        yield "there is no forecast"
        return
    for row in summary["forecast"]["predictions"]:
        predicted, measured = row["predicted_interference"], row["measured_interference"]
        name = f"{' + '.join(row['subset'])} on {row['domain']}"
        print(f"{name}: interference {predicted:+.3f} predicted, {measured:+.3f} measured")
        if len(row["subset"]) > 2 or abs(predicted - measured) <= NOISE:
            continue
        small, large = sorted((abs(predicted), abs(measured)))
        if predicted * measured <= 0 or large > FACTOR * small:
            yield f"the interference of {name} was not foreseen"


if __name__ == "__main__":
    problems = shortfalls(Path(sys.argv[1]))
    print(*problems, sep="\n")
    sys.exit(1 if problems else 0)
