"""Words behind an option that takes one: the second of several is read as a file or an adapter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from superpose.data.question_file import ENDINGS
from superpose.errors import BadInput

__all__ = ["check_data", "check_methods"]


def check_data(data: Iterable[str], targets: Sequence[str]) -> None:
    """Raise BadInput for a question file that is none, where it may be a second target module."""

    def may_be_target(word: str) -> bool:
        name = re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*|all-linear", word)
        return name is not None and Path(word).suffix not in ENDINGS

    _check(data, "question files", "--targets", targets, may_be_target)


def check_methods(adapters: Iterable[str], methods: Sequence[str]) -> None:
    """Raise BadInput for an adapter that is none, where it is the name of a merge method."""
    from superpose.compose import METHODS

    _check(adapters, "adapters", "--methods", methods, METHODS.__contains__)


def _check(
    words: Iterable[str],
    among: str,
    option: str,
    given: Sequence[str],
    fits: Callable[[str], bool],
) -> None:
    """Raise BadInput for the first word that fits the option and lies nowhere.

    given: what stands as the option's value; nothing where the option is not there.
    """
    for word in words if given else ():
        if fits(word) and not Path(word).exists():
            raise BadInput(
                f"stands among the {among}, and there is no such file or folder",
                where=word,
                hint=f"Where it belongs to {option}: several are one word, "
                f"{option} {','.join([*given, word])}",
            )
