"""What the weights alone tell about adapters."""

from superpose.interference.agreement import Agreement
from superpose.interference.checking import AdapterFigures, Check, check, told_apart
from superpose.interference.contained import Contained
from superpose.interference.difference import Difference, ModuleDifference, diff
from superpose.interference.facts import Fact
from superpose.interference.pair import ModuleFigures, Pair
from superpose.interference.verdict import VERDICTS, Verdict, judge

__all__ = [
    "VERDICTS",
    "AdapterFigures",
    "Agreement",
    "Check",
    "Contained",
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
