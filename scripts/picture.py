"""Render docs/demo.svg, the README's picture, from a real run's folder.

superpose demo && python scripts/picture.py superpose-demo
"""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

from superpose.cli.show import show
from superpose.studies.summary import Summary
from superpose.studies.tables import adapters_table, forecast_parts
from superpose.studies.verdict import measured_verdict

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "demo.svg"


def main(run: Path) -> None:
    """Draw what `superpose demo` prints of its results, with what the best way reaches."""
    summary = Summary.from_json(json.loads((run / "summary.json").read_text()))
    checks = json.loads((run / "cells" / f"seed-{summary.seeds[0]}" / "check.json").read_text())
    console = Console(record=True, width=112, file=io.StringIO(), highlight=False)
    console.print("$ superpose demo", style="bold")
    for pair in checks["pairs"]:
        console.print(
            f"{pair['a']} + {pair['b']}: {pair['verdict']} (RMS cosine {pair['rms_cosine']:.4f}, "
            f"floor {pair['rms_cosine_floor']:.4f})"
        )
    console.print()
    verdict = measured_verdict(summary).shown()
    show((adapters_table(summary), next(forecast_parts(summary)), *verdict), console)
    drawing = console.export_svg(title="superpose", theme=SVG_EXPORT_THEME, unique_id="demo")
    # The reader's own monospace font serves: a picture in a README loads nothing from elsewhere.
    drawing = re.sub(r"@font-face \{.*?\}", "", drawing, flags=re.DOTALL)
    PICTURE.write_text(drawing.replace("Fira Code", "monospace"), encoding="utf-8")
    print(f"wrote {PICTURE}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
