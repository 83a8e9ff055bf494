"""Let a superposed model answer questions at several task weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from superpose.landscape import SuperposedModel
from superpose.study.prompt import Prompt
from superpose.study.sweep import Weighting

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
    """Answer each question at each weighting, in the form that the adapters were trained in.

    temperature: 0 takes the likeliest token; above it tokens are drawn, seeded by `seed`.
    """
    tokenizer = prompt.tokenizer
    drawn = {"do_sample": True, "temperature": temperature} if temperature > 0 else {}
    found = []
    base: Any = model.model
    for question in questions:
        ids = torch.tensor([prompt.question_ids(question)], device=base.device)
        for point in points:
            torch.manual_seed(seed)
            with model.at(point.vector):
                output = base.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=max_new_tokens,
                    pad_token_id=tokenizer.eos_token_id,
                    **({"do_sample": False} | drawn),
                )
            text = tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)
            found.append(Answer(question, point, text.strip()))
    return found
