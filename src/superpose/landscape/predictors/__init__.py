"""What a domain's own data say about interference; one small file each, and the list of all."""

from superpose.landscape.predictors.calibration import PARTS, Calibration
from superpose.landscape.predictors.case import DataCase
from superpose.landscape.predictors.data_inner import DataInner
from superpose.landscape.predictors.registry import DATA_AWARE, PREDICTORS

__all__ = ["DATA_AWARE", "PARTS", "PREDICTORS", "Calibration", "DataCase", "DataInner"]
