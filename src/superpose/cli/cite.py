"""`superpose cite`: what a paper that used superpose refers to."""

from __future__ import annotations

from superpose.cli.console import answer
from superpose.cli.options import Json, Quiet

__all__ = ["cite"]


def cite(json: Json = False, _quiet: Quiet = False) -> None:
    """Print the BibTeX of superpose and of the paper whose system it implements.

    Example: superpose cite >> references.bib
    """
    from superpose.verbs.cite import cite as cited

    answer(cited(), json)
