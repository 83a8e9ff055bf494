"""Word problems about two or three whole numbers, answered by the steps and their result."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from superpose.data.domain import Row
from superpose.data.questions.fact import Subject, between, pick, shuffled

__all__ = ["subjects"]

_SUBJECTS = 72
_THINGS = ("pens", "apples", "stamps", "bricks", "tickets", "cards", "shells", "rolls", "bulbs")
_NAMES = ("Ana", "Ben", "Emma", "Dan", "Ella", "Jack", "Gus", "Maria", "Ivan", "Jane")
_HOLDERS = ("boxes", "bags", "crates", "shelves", "trays", "baskets")


class _Kind(NamedTuple):
    """A kind of problem: its question, and the steps that solve it.

    {many} is 11 to 39, {few} 3 to 9, {third} smaller than {few}; {big} is their product.
    """

    question: str
    steps: str


_KINDS = (
    _Kind(
        "{name} has {many} {holders} of {few} {things}. How many {things} is that?",
        "Multiply {many} by {few} to get {big}",
    ),
    _Kind(
        "{name} had {many} {things} and found {few} more. How many are there now?",
        "Add {few} to {many} to get {plus}",
    ),
    _Kind(
        "{name} had {many} {things} and gave away {few}. How many are left?",
        "Take {few} from {many} to get {minus}",
    ),
    _Kind(
        "{name} shares {big} {things} among {few} {holders}. How many go in each?",
        "Divide {big} by {few} to get {many}",
    ),
    _Kind(
        "{name} fills {many} {holders} with {few} {things} each, then loses {third}. What is left?",
        "Multiply {many} by {few}, then take {third} from {big} to get {big_less}",
    ),
    _Kind(
        "{name} fills {many} {holders} with {few} {things} each and adds {third}. What is there?",
        "Multiply {many} by {few}, then add {third} to {big} to get {big_more}",
    ),
    _Kind(
        "{name} buys {few} {things} at {many} cents each. What is the price?",
        "Multiply {few} by {many} to get {big}",
    ),
)


def subjects(chance: Random) -> list[Subject]:
    """72 pairs of numbers, all different, with seven problems each."""
    pairs = [(many, few) for many in range(11, 40) for few in range(3, 10)]
    chosen = shuffled(chance, pairs)[:_SUBJECTS]
    return [tuple(_row(kind, many, few, chance) for kind in _KINDS) for many, few in chosen]


def _row(kind: _Kind, many: int, few: int, chance: Random) -> Row:
    """One problem with its worked answer."""
    big, third = many * few, between(chance, 1, few - 1)
    values = {
        "many": many,
        "few": few,
        "third": third,
        "big": big,
        "plus": many + few,
        "minus": many - few,
        "big_less": big - third,
        "big_more": big + third,
        "name": pick(chance, _NAMES),
        "things": pick(chance, _THINGS),
        "holders": pick(chance, _HOLDERS),
    }
    steps = kind.steps.format(**values)
    unit = "cents" if "cents" in kind.question else values["things"]
    result = steps.rsplit(" ", maxsplit=1)[-1]
    return Row(kind.question.format(**values), f"{steps}. Result: {result} {unit}.")
