"""What the weights alone say about interference: every known figure, one small file each."""

from superpose.interference.predictors.predictor import Case, Predictor
from superpose.interference.predictors.registry import DATA_FREE

__all__ = ["DATA_FREE", "Case", "Predictor"]
