"""The words by which images of a LoRA are called: what its file says of its training's captions.

kohya's tools write how often each tag stood in the captions (`ss_tag_frequency`, by folder of
images), others the words themselves. Source: sd-scripts, `library/train_util.py`; the model
specification of Stability AI, `modelspec.trigger_phrase`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter

__all__ = ["trigger_words"]

_MOST, _LONGEST = 8, 200
_SAID = ("modelspec.trigger_phrase", "ss_trained_words", "trained_words")
_COUNTED = "ss_tag_frequency"


def trigger_words(adapter: Adapter) -> tuple[str, ...]:
    """Give the words that a file says, otherwise its most frequent tags, otherwise its parents'.

    A few, the weightiest first; none where the file says nothing, or nothing that can be read.
    """
    own = _said(adapter.metadata) or _counted(adapter.metadata)
    of_parents = (word for parent in adapter.parents for word in parent.words)
    return own or tuple(dict.fromkeys(of_parents))[:_MOST]


def _said(metadata: Mapping[str, str]) -> tuple[str, ...]:
    for key in _SAID:
        text = metadata.get(key, "")
        listed = _json(text)
        words = listed if isinstance(listed, list) else text.split(",")
        if found := _lines(words):
            return found
    return ()


def _counted(metadata: Mapping[str, str]) -> tuple[str, ...]:
    folders = _json(metadata.get(_COUNTED, ""))
    counts: Counter[str] = Counter()
    for tags in folders.values() if isinstance(folders, dict) else ():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            if isinstance(count, int) and not isinstance(count, bool):
                counts[str(tag)] += count
    return _lines(tag for tag, _ in counts.most_common(_MOST))


def _lines(words: Iterable[object]) -> tuple[str, ...]:
    """Give what is text, on one line and short enough to be a word that somebody types."""
    texts = (" ".join(word.split()) for word in words if isinstance(word, str))
    kept = (text for text in texts if text and text.isprintable() and len(text) <= _LONGEST)
    return tuple(dict.fromkeys(kept))[:_MOST]


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
