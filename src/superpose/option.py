"""What a command line and a study file have to know of a setting beyond its type and default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DEVICE", "Option"]

DEVICE = (
    "Where the base model is: cpu, cuda, cuda:1, mps; auto for an accelerator where torch finds "
    "one, and else the CPU."
)
"""The help of a `device`, which several verbs take."""


@dataclass(frozen=True)
class Option:
    """Its help, and its name, value and bounds where they are special; stands in `Annotated`.

    flags: in place of `--name` and, for a boolean, `--name/--no-name`. metavar: what the help calls
    the value. separator: what may stand between several values in one word. bounds: in pydantic's
    words (ge, gt, lt). in_shell: whether there is an option of its own.
    """

    help: str
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    separator: str = ""
    bounds: Mapping[str, float] = field(default_factory=dict)
    in_shell: bool = True

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return {**handler(source), **self.bounds}
