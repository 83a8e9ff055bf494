"""What the weights alone tell about a sum of adapters."""

from superpose.interference.check import AdapterFigures, Check, check
from superpose.interference.pair import ModuleFigures, Pair
from superpose.interference.verdict import Verdict, judge

__all__ = ["AdapterFigures", "Check", "ModuleFigures", "Pair", "Verdict", "check", "judge"]
