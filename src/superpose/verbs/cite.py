"""How superpose and the paper whose system it implements are cited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from superpose.shown import Line, Part, Shown
from superpose.shown.cited import bibtex

__all__ = ["Cited", "cite"]


@dataclass(frozen=True)
class Cited(Shown):
    """BibTeX of both, this version's."""

    bibtex: str

    def to_json(self) -> dict[str, Any]:
        """Give what `cite --json` prints."""
        return {"bibtex": self.bibtex}

    def shown(self) -> tuple[Part, ...]:
        """Give it as it stands in a .bib file."""
        return tuple(Line(line, whole=True) for line in self.bibtex.splitlines())


def cite() -> Cited:
    """Give the BibTeX of superpose and of the paper whose system it implements."""
    return Cited(bibtex())
