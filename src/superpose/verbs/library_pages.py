"""What is found of a library, with its pages."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from superpose.interference.evidence import ONE
from superpose.library.checked import LibraryCheck
from superpose.library.lineage import Lineage
from superpose.shown import Line, Part, Table

if TYPE_CHECKING:
    from superpose.report import Page

__all__ = ["CheckedLibrary", "FoundLineage"]

ON_A_PAGE = 48
"""Adapters of a page's heat map, for each base model."""


@dataclass(frozen=True)
class FoundLineage(Lineage):
    """The runs and cohorts of a library, with what a page says of its making."""

    seconds: float

    def page(self, command: str = "") -> Page:
        """Give the page. command: that which made it, as it was typed."""
        from superpose.report import Making, lineage_page

        tables = [part for part in self.shown() if isinstance(part, Table)]
        made = Making(command=command, seconds={"this run": self.seconds})
        return lineage_page(self.to_json(), tables, made)


@dataclass(frozen=True, eq=False)
class CheckedLibrary(LibraryCheck):
    """What the weights tell of a library, with what a page says of its making.

    index: its folder.
    """

    index: str
    seconds: float

    def shown(self) -> tuple[Part, ...]:
        """Give each base model's clusters, map and worst pairs, and what tells of copies."""
        pairs = [pair for one in self.bases for pair in one.worst]
        if not any(pair.judgement.verdict in ONE for pair in pairs):
            return super().shown()
        command = shlex.join(["superpose", "dupes", "--index", self.index])
        return (*super().shown(), Line(command, "All copies, and which to keep:", whole=True))

    def page(self, command: str = "") -> Page:
        """Give the page. command: that which made it, as it was typed."""
        from superpose.report import Making, library_page

        parts = [one.parts(ON_A_PAGE) for one in self.bases]
        made = Making(command=command, seconds={"this run": self.seconds})
        return library_page(self.to_json(), parts, made)
