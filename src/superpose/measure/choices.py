"""Likelihoods of choices: a question goes through the model once, whatever it offers.

Questions of like length share a batch. What all of them have is passed once a question, and what is
left, a few tokens of longer questions and the choices, goes on from there, one row a choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from superpose.data.choices import ChoiceQuestion
from superpose.data.prompt import Example
from superpose.landscape.choice_sample import ChoiceSample
from superpose.measure.batches import BATCH_TOKENS, collate
from superpose.measure.loss import by_row, token_nll
from superpose.measure.prefix import begun, keeps_on
from superpose.model.superposed import SuperposedModel

__all__ = ["ChoiceNll", "choice_batches", "choice_nll", "measure_choices", "token_counts"]

Array = NDArray[np.float64]
At = Callable[[torch.Tensor], AbstractContextManager[Any]]
"""From the question of each row of a batch (rows,) to the model at those questions' weights."""

PASS = 48
"""Tokens whose passing costs about what a batch of its own costs."""

HELD = 4
"""Times a batch's tokens that keys and values may be held for."""


class ChoiceNll(NamedTuple):
    """Nats of Q questions' choices, (Q, C) each; infinite where a question has fewer than C.

    nll: of all tokens. end: of the end-of-text alone, which is part of them; 0 without one.
    """

    nll: Array
    end: Array


@torch.no_grad()
def choice_nll(
    model: Any,
    questions: Sequence[ChoiceQuestion],
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int], None] | None = None,
) -> ChoiceNll:
    """Give negative log-likelihoods of every choice; progress is called with the questions done.

    model: at task weights that all questions share.
    """
    found = np.full((2, *_shape(questions)), np.inf)
    for batch in choice_batches(questions, batch_tokens):
        asked = _Asked.of([questions[i] for i in batch], shared=keeps_on(model))
        nats = _nats(asked, _everywhere(model))
        found[:, batch, : nats.shape[-1]] = nats.cpu().numpy()
        if progress is not None:
            progress(len(batch))
    return ChoiceNll(*found)


def measure_choices(
    model: SuperposedModel,
    questions: Sequence[ChoiceQuestion],
    points: Sequence[Sequence[float] | Array],
    *,
    gradients: bool = True,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int], None] | None = None,
) -> ChoiceSample:
    """Give nats of every choice, and each question's slope of its margin, at `points`.

    points: P of K task weights each. gradients: False asks for the values alone. Every question has
    task weights of its own in a batch, so that one backward pass gives the slope of each.
    progress: called with the questions done, P times all of them in the end.
    """
    base: Any = model.model
    lambdas = np.asarray(points, dtype=np.float64).reshape(-1, len(model.adapters))
    nll = np.full((len(lambdas), *_shape(questions)), np.inf)
    slope = np.full((len(lambdas), len(questions), lambdas.shape[1]), np.nan)
    for batch in choice_batches(questions, batch_tokens):
        asked = _Asked.of([questions[i] for i in batch], shared=keeps_on(base))
        for p, point in enumerate(lambdas):
            weights = torch.tensor(point, dtype=torch.float32, device=base.device)
            if gradients:
                nats, slopes = _sloped(asked, model, weights)
                slope[p, batch] = slopes.double().cpu().numpy()
            else:
                with torch.no_grad(), model.at(weights) as weighted:
                    nats = _nats(asked, _everywhere(weighted))[0]
            nll[p, batch, : nats.shape[-1]] = nats.cpu().numpy()
            if progress is not None:
                progress(len(batch))
    right = np.array([question.right for question in questions], dtype=np.int64)
    return ChoiceSample(lambdas, nll, slope, right, token_counts(questions))


def token_counts(questions: Sequence[ChoiceQuestion]) -> NDArray[np.int64]:
    """Count the tokens of each choice (Q, C), end-of-text included; 0 where there is none."""
    counts = np.zeros(_shape(questions), dtype=np.int64)
    for row, question in zip(counts, questions, strict=True):
        row[: len(question.choices)] = [len(choice) for choice in question.choices]
    return counts


def choice_batches(questions: Sequence[ChoiceQuestion], tokens: int) -> Iterator[list[int]]:
    """Give indices of questions, shortest first, in batches that are worth more than two.

    tokens: the most that go through the model for a batch of several questions.
    """
    order = sorted(range(len(questions)), key=lambda i: (len(questions[i].question), i))
    batch: list[int] = []
    for index in order:
        alone, before, joined = (
            _Cost.of([questions[i] for i in which]) for which in ([index], batch, [*batch, index])
        )
        apart = before.passed + alone.passed + PASS
        if batch and (joined.passed > min(apart, tokens) or joined.held > HELD * tokens):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


class _Cost(NamedTuple):
    """What a batch costs: tokens that go through the model, and whose keys and values are held."""

    passed: int
    held: int

    @classmethod
    def of(cls, questions: Sequence[ChoiceQuestion]) -> Self:
        shared = _shared(questions)
        rows = sum(len(question.choices) for question in questions)
        longest = max(
            (len(q.question) + max(map(len, q.choices)) - 1 for q in questions), default=0
        )
        return cls(len(questions) * shared + rows * (longest - shared), rows * longest)


@dataclass(frozen=True)
class _Asked:
    """A batch: beginnings (n, tokens) of its questions, and a row for each choice going on.

    rows: what is left of the question, and the choice. owner, place: (rows,) its question and its
    place there.
    """

    questions: Sequence[ChoiceQuestion]
    beginnings: torch.Tensor
    rows: Sequence[Example]
    owner: Sequence[int]
    place: Sequence[int]

    @classmethod
    def of(cls, questions: Sequence[ChoiceQuestion], *, shared: bool) -> Self:
        """shared: whether the model can go on from beginnings; there are none otherwise."""
        count = _shared(questions) if shared else 0
        pairs = [(n, c) for n, q in enumerate(questions) for c in range(len(q.choices))]
        rows = [Example(questions[n].question[count:], questions[n].choices[c]) for n, c in pairs]
        beginnings = torch.tensor([question.question[:count] for question in questions])
        return cls(questions, beginnings, rows, *zip(*pairs, strict=True))


def _everywhere(model: Any) -> At:
    """The model at weights that all questions share."""
    return lambda _: nullcontext(model)


def _nats(asked: _Asked, at: At) -> torch.Tensor:
    """Give nats (2, n, C): of all tokens of each choice, and of the end alone."""
    kept: dict[str, Any] = {}
    if asked.beginnings.shape[1]:
        with at(torch.arange(len(asked.questions))) as model:
            kept = begun(model, asked.beginnings.to(model.device), asked.owner)
    with at(torch.tensor(asked.owner)) as model:
        batch = collate(asked.rows).to(model.device)
        nats = token_nll(model, batch, **kept)
    counts = torch.tensor([len(row.answer) for row in asked.rows], device=nats.device)
    ended = torch.tensor([asked.questions[n].ended for n in asked.owner], device=nats.device)
    last, most = counts.cumsum(0) - 1, max(1, int(ended.max()))
    ends = torch.stack([nats[last - back] * (ended > back) for back in range(most)])
    sums = torch.stack([by_row(batch, nats), ends.sum(0)])
    found = sums.new_full((2, *_shape(asked.questions)), torch.inf)
    found[:, list(asked.owner), list(asked.place)] = sums
    return found


def _sloped(
    asked: _Asked, model: SuperposedModel, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give nats (n, C) of each choice, and the slope (n, K) of each question's margin."""
    with torch.enable_grad():
        each = weights.expand(len(asked.questions), -1).clone().requires_grad_()
        nats = _nats(asked, lambda rows: model.at(each[rows.to(each.device)]))[0]
        right = torch.tensor([[q.right] for q in asked.questions], device=nats.device)
        wrong = nats.scatter(1, right, torch.inf).min(dim=1).values
        margin = wrong - nats.gather(1, right)[:, 0]
        (slopes,) = torch.autograd.grad(margin.sum(), each)
    return nats.detach(), slopes


def _shared(questions: Sequence[ChoiceQuestion]) -> int:
    """Count the tokens that every question has before its last one."""
    return min((len(question.question) for question in questions), default=1) - 1


def _shape(questions: Sequence[ChoiceQuestion]) -> tuple[int, int]:
    """Questions, and the most choices of one."""
    return len(questions), max((len(question.choices) for question in questions), default=0)
