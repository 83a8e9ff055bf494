"""Lambda space in NumPy: each domain's loss as a polynomial in the task weights, and its advice."""

from superpose.landscape.advice import Advice, advise
from superpose.landscape.basis import Basis
from superpose.landscape.forecast import Forecast
from superpose.landscape.polynomial import Polynomial
from superpose.landscape.sample import Sample
from superpose.landscape.subsets import design_points

__all__ = ["Advice", "Basis", "Forecast", "Polynomial", "Sample", "advise", "design_points"]
