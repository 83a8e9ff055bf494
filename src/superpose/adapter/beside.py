"""Files that lie beside an adapter: no part of its deltas, and perhaps needed to use it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from superpose.errors import SuperposeWarning

TOKENIZER = frozenset(
    "added_tokens.json chat_template.jinja chat_template.json merges.txt preprocessor_config.json "
    "processor_config.json sentencepiece.bpe.model special_tokens_map.json spiece.model "
    "tekken.json tokenizer.json tokenizer.model tokenizer_config.json "
    "video_preprocessor_config.json vocab.json vocab.txt".split()
)
"""Files that tell how text (and images) become numbers, as transformers calls them."""


@dataclass(frozen=True)
class Beside:
    """One file. adapter: the name or path of the adapter beside which it lies.

    file: its path in the adapter's folder, with `/`. what: in words, what it holds. kind: "trained"
    is a part of what was trained that is in no sum; "tokenizer" is what text becomes numbers with,
    and is carried where all adapters that have it have the same. folder: where it lies on this
    machine, absolute; None for one on the hub that was not fetched.
    """

    adapter: str
    file: str
    what: str
    kind: Literal["trained", "tokenizer"]
    folder: str | None = None

    def to_json(self) -> dict[str, object]:
        """Give adapter, file, what and kind."""
        return {"adapter": self.adapter, "file": self.file, "what": self.what, "kind": self.kind}


def trained(beside: Sequence[Beside]) -> list[Beside]:
    """Give those that hold a part of what was trained."""
    return [one for one in beside if one.kind == "trained"]


def tell_of_trained(beside: Sequence[Beside], but: str) -> None:
    """Say of each adapter, with a SuperposeWarning, what was trained with it and lies beside it.

    but: what becomes of it, such as "which is not in the sum".
    """
    by_adapter: dict[str, list[str]] = {}
    for one in trained(beside):
        by_adapter.setdefault(one.adapter, []).append(f"{one.file} ({one.what})")
    for adapter, files in by_adapter.items():
        warnings.warn(f"{adapter} holds {', '.join(files)}, {but}", SuperposeWarning, stacklevel=3)
