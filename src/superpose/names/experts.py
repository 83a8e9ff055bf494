"""One expert of a mixture, as files call it: a module each, or a slice of a stacked parameter.

transformers 5 keeps the experts of a layer as one parameter of three axes; before it, and in most
files, each expert was a module with layers of its own. gpt-oss loaded in four bits has single
layers as well, under names of its own. Source: transformers 5.24, conversion_mapping.py and
integrations/moe.py; unsloth's gpt-oss, `gate_up_projs` and `down_projs`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

STACKED = {
    "gate_up_proj": (("gate_proj", "up_proj"), ("w1", "w3")),
    "down_proj": (("down_proj",), ("w2",)),
    "up_proj": (("up_proj",), ("w3",)),
    "gate_proj": (("gate_proj",), ("w1",)),
}
"""A stack of experts -> how files call the parts of one expert, in the order of its rows."""

ONE_EXPERT = re.compile(r"(?P<stack>.+\.experts)\.(?P<expert>\d+)\.(?P<part>\w+)")
_SINGLE = re.compile(r"(?P<stack>.+\.experts)\.(?P<part>gate_up|down)_projs\.(?P<expert>\d+)")


class InStack(NamedTuple):
    """Where a layer of one expert lies. place: among the `parts` parts, of equal height."""

    stack: str
    parameter: str
    expert: int
    place: int = 0
    parts: int = 1


def slices_of(module: str) -> list[InStack]:
    """Give the slices of stacks that a layer of a single expert may be; none for any other layer.

    Most models stack gate above up, some each by itself: which stack there is decides.
    """
    if match := _SINGLE.fullmatch(module):
        return [InStack(match["stack"], f"{match['part']}_proj", int(match["expert"]))]
    match = ONE_EXPERT.fullmatch(module)
    if match is None:
        return []
    stack, expert, part = match["stack"], int(match["expert"]), match["part"]
    return [
        InStack(stack, parameter, expert, parts.index(part), len(parts))
        for parameter, spellings in STACKED.items()
        for parts in spellings
        if part in parts
    ]
