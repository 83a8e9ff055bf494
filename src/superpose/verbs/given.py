"""What was given to a verb, as the words of a command that takes the same adapters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from superpose.files.file_format import GGUF

if TYPE_CHECKING:
    from superpose.verbs.adapters import Adapters

__all__ = ["given_to_add"]


def given_to_add(
    adapters: Adapters, base: str, same_base: bool = False, ignore_keys: Sequence[str] = ()
) -> list[str]:
    """Give the words behind `superpose add` that take adapters as a verb with a base took them.

    A loaded adapter is named by where it was read. Only a GGUF file asks for the base.
    """
    words = [
        os.fspath(a) if isinstance(a, str | os.PathLike) else a.path or a.name for a in adapters
    ]
    options = ["--same-base"] if same_base else []
    options += [f"--ignore-key={key}" for key in ignore_keys]
    if any(word.endswith(GGUF.ending) for word in words):
        options.append(f"--base={base}")
    return words + options
