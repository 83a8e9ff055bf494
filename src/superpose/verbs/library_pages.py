"""What is found of a library, with its pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from superpose.library.checked import LibraryCheck
from superpose.library.lineage import Lineage
from superpose.shown import Table

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
    """What the weights tell of a library, with what a page says of its making."""

    seconds: float

    def page(self, command: str = "") -> Page:
        """Give the page. command: that which made it, as it was typed."""
        from superpose.report import Making, library_page

        parts = [one.parts(ON_A_PAGE) for one in self.bases]
        made = Making(command=command, seconds={"this run": self.seconds})
        return library_page(self.to_json(), parts, made)
