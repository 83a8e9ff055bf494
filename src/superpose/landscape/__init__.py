"""Lambda space in NumPy: each domain's loss as a polynomial in the task weights, and its advice."""

from superpose.landscape.advice import Advice, advise
from superpose.landscape.basis import Basis
from superpose.landscape.forecast import Forecast
from superpose.landscape.polynomial import Polynomial, design_points
from superpose.landscape.sample import Sample

__all__ = ["Advice", "Basis", "Forecast", "Polynomial", "Sample", "advise", "design_points"]
