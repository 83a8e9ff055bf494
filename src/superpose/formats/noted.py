"""What superpose notes in the header of a file: version, parents, how it was made of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from superpose._version import __version__
from superpose.adapter import Adapter, Made, Parent
from superpose.adapter.made import BEST_RANK, EXTRACT, GIVEN, SUM, Setting
from superpose.files import encodable

KEY = "superpose"
"""Key of the note in a header's metadata."""

_NO_NOTE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)


def note_of(adapter: Adapter, rounding_error: float) -> str:
    """Give the note as JSON text that any file can hold; rounding_error: of what is written."""
    note = {
        "version": __version__,
        "parents": [parent.to_json() for parent in adapter.parents],
        "made": adapter.made.written(rounding_error).to_json(),
    }
    return encodable(json.dumps(note, ensure_ascii=False))


def noted(metadata: Mapping[str, object]) -> dict[str, Any]:
    """Give `parents` and `made` as a file's header notes them, fields of the adapter in it.

    A note that is not ours tells nothing. One of a version that noted figures alone is read for
    what it says: whether its sum is exact, it does not.
    """
    try:
        text = metadata.get(KEY, "{}")
        note = json.loads(text) if isinstance(text, str) else {}
        parents = tuple(map(_parent, note["parents"]))
        made = _made(note["made"]) if "made" in note else _made_before(note, parents)
    except _NO_NOTE:
        return {}
    return {"parents": parents, "made": made}


def _parent(noted: Mapping[str, Any]) -> Parent:
    name, path, weight = noted["name"], noted["path"], float(noted["weight"])
    if not (isinstance(name, str) and isinstance(path, str | None) and math.isfinite(weight)):
        raise ValueError(name)
    return Parent(name, path, weight, words=tuple(map(_line, noted.get("words", ()))))


def _made(noted: Mapping[str, Any]) -> Made:
    """Read how a file was made; raises one of _NO_NOTE for what superpose does not write."""
    exact = noted["exact"]
    if exact is not None and not isinstance(exact, bool):
        raise TypeError(exact)
    return Made(
        method=_line(noted["method"]),
        what=_line(noted["what"]),
        of=_line(noted["of"]),
        settings=tuple((_line(k), _setting(v)) for k, v in noted["settings"].items()),
        exact=exact,
        energy_kept=_share(noted["energy_kept"]),
        share_left_out=_share(noted["share_left_out"]),
        rounding_error=_figure(noted["rounding_error"]),
        inputs=tuple((_line(one["name"]), _made(one)) for one in noted["inputs"]),
    )


def _made_before(note: Mapping[str, Any], parents: tuple[Parent, ...]) -> Made:
    """Tell how a file was made from the figures that versions before `made` noted."""
    rounding, kept = _figure(note.get("rounding_error")), _share(note.get("energy_kept"))
    if "share_left_out" in note:
        left = _share(note["share_left_out"])
        what = "what a fine-tuning adds to its base model, as factors of low rank"
        return Made(EXTRACT, what, "", (), False, kept, left, rounding)
    if kept is not None:
        what, of = "the best approximation of low rank", "a weighted sum of deltas"
        return Made(BEST_RANK, what, of, (), False, kept, None, rounding)
    if not parents:
        return Made(GIVEN, rounding_error=rounding)
    return Made(SUM, "a weighted sum", "deltas", exact=None, rounding_error=rounding)


def _line(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(text)
    return "".join(c if c.isprintable() else " " for c in text)


def _setting(value: object) -> Setting:
    if isinstance(value, str):
        return _line(value)
    if value is None or isinstance(value, bool | int):
        return value
    return _figure(value)


def _figure(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, float | int) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def _share(value: object) -> float | None:
    share = _figure(value)
    if share is not None and not 0.0 <= share <= 1.0:
        raise ValueError(share)
    return share
