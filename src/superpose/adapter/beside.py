"""A file that lies beside an adapter: no part of its deltas, and perhaps needed to use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Beside:
    """One file. adapter: the name or path of the adapter beside which it lies.

    file: its path in the adapter's folder, with `/`. what: in words, what it holds. kind: "trained"
    is a part of what was trained that is in no sum; "tokenizer" is what text becomes numbers with,
    and is carried where all adapters that have it have the same.
    """

    adapter: str
    file: str
    what: str
    kind: Literal["trained", "tokenizer"]

    def to_json(self) -> dict[str, object]:
        """Give all four as text."""
        return dict(vars(self))
