"""Base and adapters among the names behind a command, and what stands there by mistake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from superpose.data.question_file import ENDINGS
from superpose.errors import BadInput
from superpose.files.file_format import IN_FOLDERS, PEFT

__all__ = ["base_apart", "is_adapter"]


def base_apart(base: str, adapters: Sequence[str] | None) -> tuple[str | None, list[str]]:
    """Give the base model and the adapters; None for the base where an adapter stands first.

    Raises BadInput where there is no adapter, and for a question file or a number among them: what
    stands behind an option beyond its one value.
    """
    named = [base, *(adapters or ())]
    for name in named:
        _check_adapter(name)
    if is_adapter(base):
        return None, named
    if not adapters:
        raise BadInput(
            "the first name is the base model, and no adapter stands behind it",
            where=base,
            hint="Name them: BASE ADAPTER ... The base may be left out where adapters name theirs.",
        )
    return base, named[1:]


def is_adapter(name: str) -> bool:
    """Whether a name can only be an adapter's: a base model is a folder without one in it."""
    from superpose.verbs.weighted import parse_weighted

    path = Path(name)
    try:
        if path.is_file() or any((path / file).is_file() for file in (PEFT.folder[0], *IN_FOLDERS)):
            return True
        if path.exists():
            return False
        parsed = parse_weighted(name)
    except (BadInput, OSError):
        return False
    return len(parsed) > 1 or parsed[0][1] is not None


def _check_adapter(name: str) -> None:
    path = Path(name)
    if path.suffix in ENDINGS and not path.name.endswith("config.json"):
        raise BadInput(
            "a question file stands among the adapters",
            where=name,
            hint=f"Each has an option of its own: --data FIRST --data {name}",
        )
    if _is_number(name) and not path.exists():
        raise BadInput(
            "a number stands among the adapters",
            where=name,
            hint="Task weights are one word: --weights 1,0.5; or each behind its adapter: math:0.5",
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
