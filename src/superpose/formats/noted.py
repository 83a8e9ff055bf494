"""What superpose notes in the header of a file that it writes: version, parents, figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from superpose._version import __version__
from superpose.adapter import Adapter, Parent
from superpose.files import encodable

KEY = "superpose"
"""Key of the note in a header's metadata."""


def note_of(adapter: Adapter, figures: Mapping[str, float]) -> str:
    """Give the note as JSON text that any file can hold; figures: more numbers, by name."""
    note = {
        "version": __version__,
        "parents": [parent.to_json() for parent in adapter.parents],
        **figures,
    }
    return encodable(json.dumps(note, ensure_ascii=False))


def noted_parents(metadata: Mapping[str, object]) -> tuple[Parent, ...]:
    """Give the parents noted in a file's header; a note that is not ours tells nothing."""
    try:
        text = metadata.get(KEY, "{}")
        noted = json.loads(text) if isinstance(text, str) else {}
        parents = [Parent(p["name"], p["path"], float(p["weight"])) for p in noted["parents"]]
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return ()
    good = all(
        isinstance(p.name, str) and isinstance(p.path, str | None) and math.isfinite(p.weight)
        for p in parents
    )
    return tuple(parents) if good else ()
