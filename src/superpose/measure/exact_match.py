"""Whether a model says the very answer: greedy, and compared in words."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch

from superpose.data.domain import Row
from superpose.data.prompt import Prompt
from superpose.measure.ending import ending
from superpose.statistics import wilson
from superpose.statistics.bootstrap import Interval

__all__ = ["ExactMatch", "exact_match", "normalised"]

ROWS = 32
"""Questions that are answered at once."""

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class ExactMatch:
    """Which questions were answered with the very answer, as `normalised` compares them."""

    hits: tuple[bool, ...]

    @property
    def share(self) -> float:
        """The share of them."""
        return sum(self.hits) / len(self.hits)

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval of the share."""
        return wilson(sum(self.hits), len(self.hits))

    @classmethod
    def union(cls, scores: Iterable[Self]) -> Self:
        """The share on all questions of several test sets."""
        return cls(tuple(hit for score in scores for hit in score.hits))


def normalised(text: str) -> str:
    """Give a text without case, punctuation, articles and surplus white space.

    As SQuAD's evaluation does (Rajpurkar et al. 2016, arXiv 1606.05250), in its order.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


@torch.no_grad()
def exact_match(
    model: Any,
    prompt: Prompt,
    rows: Sequence[Row],
    max_new_tokens: int,
    *,
    progress: Callable[[int], None] | None = None,
) -> ExactMatch:
    """Let a model answer every row's question greedily, and compare with the row's answer.

    model: at task weights that all rows share. max_new_tokens: the most that it may say. Of what it
    says to a question whose answer is one line, the first line counts. An answer that nothing is
    left of (`the`, `?`) has to be said in so many letters. progress: called with the rows done.
    """
    hits = [False] * len(rows)
    asked = [prompt.asked_ids(row) for row in rows]
    for batch in _alike(asked):
        ids = torch.tensor([asked[i] for i in batch], device=model.device)
        output = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            **ending(model, prompt, {end for i in batch for end in prompt.ends_of(rows[i])}),
        )
        said = prompt.tokenizer.batch_decode(output[:, ids.shape[1] :], skip_special_tokens=True)
        for index, text in zip(batch, said, strict=True):
            hits[index] = _same(text, rows[index].answer)
        if progress is not None:
            progress(len(batch))
    return ExactMatch(tuple(hits))


def _same(said: str, answer: str) -> bool:
    said, answer = said.strip(), answer.strip()
    if len(answer.splitlines()) == 1:
        said = (said.splitlines() or [""])[0]
    if not normalised(answer):
        return said.split() == answer.split()
    return normalised(said) == normalised(answer)


def _alike(asked: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
    """Give indices of prompts of one length, at most ROWS at once: none is padded."""
    of_length: dict[int, list[int]] = {}
    for index, ids in enumerate(asked):
        of_length.setdefault(len(ids), []).append(index)
    for indices in of_length.values():
        for start in range(0, len(indices), ROWS):
            yield indices[start : start + ROWS]
