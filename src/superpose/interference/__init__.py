"""What the weights alone tell about adapters."""

from superpose.interference.agreement import Agreement
from superpose.interference.checking import AdapterFigures, Check, check, told_apart
from superpose.interference.contained import Contained
from superpose.interference.figures import ModuleFigures
from superpose.interference.pair import Pair
from superpose.interference.verdict import VERDICTS, Verdict, judge

__all__ = [
    "VERDICTS",
    "AdapterFigures",
    "Agreement",
    "Check",
    "Contained",
    "ModuleFigures",
    "Pair",
    "Verdict",
    "check",
    "judge",
    "told_apart",
]
