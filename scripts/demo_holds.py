"""Hold a demo's results against what the demo promises; ends with 1 where they fall short.

superpose demo && python scripts/demo_holds.py superpose-demo
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


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
    return found


if __name__ == "__main__":
    problems = shortfalls(Path(sys.argv[1]))
    print(*problems, sep="\n")
    sys.exit(1 if problems else 0)
