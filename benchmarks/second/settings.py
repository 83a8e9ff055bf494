"""What the second tournament is. `REGISTERED.md` beside this file says what is asked of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.prediction.domains import Source
from benchmarks.prediction.field import Field
from benchmarks.prediction.settings import DATA, Tournament
from superpose.training.settings import LoraSettings, TrainingSettings

__all__ = ["CHOICES", "DRAWN", "PARTNERS", "SECOND", "SOURCES", "nine_field", "second_field"]

_TRIVIA = (192, 128, 192)
_LONG = (192, 64, 96)

_ALL = {
    "television": Source("trivia-television.jsonl", rows=_TRIVIA, choices=True),
    "world": Source("trivia-world.jsonl", rows=_TRIVIA, choices=True),
    "music": Source("trivia-music.jsonl", rows=_TRIVIA, choices=True),
    "science": Source("trivia-science-technology.jsonl", rows=_TRIVIA, choices=True),
    "algebra": Source("math-choices.jsonl", rows=(192, 128, 180), choices=True),
    "finance": Source("finance.jsonl", rows=_LONG),
    "research": Source("research.jsonl", rows=_LONG),
    "math": Source("math.train.jsonl", tests="math.test.jsonl", rows=_LONG),
    "inherited": Source("medicine.jsonl", "is ", rows=_LONG),
    "treatments": Source("medicine.jsonl", "what are the treatments", rows=_LONG),
}

CHOICES = ("television", "world", "music", "science", "algebra")
"""All multiple-choice sets that there are; television, world and algebra are new."""

DRAWN = "research"
"""The sixth: `random.Random("second").choice` of finance, research, math, inherited, treatments."""

SOURCES = {name: _ALL[name] for name in (*CHOICES, DRAWN)}

PARTNERS = ("finance", "math", "inherited")
"""The three beside them where there are nine adapters: `random.Random("nine").sample` of finance,
math, inherited and treatments."""

SECOND = Tournament(
    max_tokens=192,
    split_seed=1,
    triples=8,
    quadruples=6,
    lora=LoraSettings(
        rank=4,
        alpha=64,
        dropout=0,
        targets=("q_proj", "k_proj", "v_proj", "o_proj", "down_proj"),
    ),
    training=TrainingSettings(epochs=1, learning_rate=3e-4, batch_size=8),
)


def second_field(out: str | Path, *, data: str | Path = DATA) -> Field:
    """Give the field of the second tournament in a folder."""
    return Field(out, data=data, tournament=SECOND, sources=SOURCES)


def nine_field(second: Field) -> Field:
    """Give the field of nine adapters, of the first seed, in a folder within the second's."""
    return Field(
        second.folder.path / "nine",
        data=second.data,
        tournament=replace(SECOND, seeds=SECOND.seeds[:1]),
        sources={name: _ALL[name] for name in (*SOURCES, *PARTNERS)},
    )
