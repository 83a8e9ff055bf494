"""What the weights alone tell about adapters."""

from superpose.interference.check import AdapterFigures, Check, check, told_apart
from superpose.interference.diff import Difference, Fact, ModuleDifference, diff
from superpose.interference.pair import ModuleFigures, Pair
from superpose.interference.verdict import Verdict, judge

__all__ = [
    "AdapterFigures",
    "Check",
    "Difference",
    "Fact",
    "ModuleDifference",
    "ModuleFigures",
    "Pair",
    "Verdict",
    "check",
    "diff",
    "judge",
    "told_apart",
]
