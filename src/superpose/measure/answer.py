"""Let a superposed model answer questions at several task weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from superpose.data.prompt import Prompt
from superpose.measure.ending import ending
from superpose.measure.sweep import Weighting
from superpose.model import SuperposedModel

__all__ = ["Answer", "answers"]


@dataclass(frozen=True)
class Answer:
    """What the model at one weighting answers to one question."""

    question: str
    weighting: Weighting
    text: str

    def to_json(self) -> dict[str, Any]:
        """The keys of `ask --json`, one row."""
        return {
            "prompt": self.question,
            "method": self.weighting.method,
            "weights": dict(self.weighting.weights),
            "answer": self.text,
        }


@torch.no_grad()
def answers(
    model: SuperposedModel,
    prompt: Prompt,
    points: Sequence[Weighting],
    questions: Sequence[str],
    *,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[Answer]:
    """Answer each question at each weighting, in the form that the prompt gives it.

    temperature: 0 takes the likeliest token; above it tokens are drawn, seeded by `seed`, for each
    weighting with the same chance. Without chance a question's weightings are rows of one batch.
    """
    found = []
    for question in questions:
        if temperature > 0:
            drawn = {"do_sample": True, "temperature": temperature}
            texts = []
            for point in points:
                torch.manual_seed(seed)
                texts += _texts(model, prompt, [point], question, max_new_tokens, drawn)
        else:
            texts = _texts(model, prompt, points, question, max_new_tokens, {"do_sample": False})
        found += [Answer(question, p, text) for p, text in zip(points, texts, strict=True)]
    return found


def _texts(
    model: SuperposedModel,
    prompt: Prompt,
    points: Sequence[Weighting],
    question: str,
    max_new_tokens: int,
    how: Mapping[str, Any],
) -> list[str]:
    """What each weighting says, as the rows of one batch."""
    base: Any = model.model
    ids = torch.tensor([prompt.question_ids(question)] * len(points), device=base.device)
    with model.at(torch.tensor([point.vector for point in points], device=base.device)):
        output = base.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=max_new_tokens,
            **ending(base, prompt, prompt.question_ends(question)),
            **how,
        )
    said = prompt.tokenizer.batch_decode(output[:, ids.shape[1] :], skip_special_tokens=True)
    return [text.strip() for text in said]
