"""Inner products of deltas as a domain's data weigh them, in place of all entries alike.

With S the second moment of a target module's inputs x and H a Kronecker-factored curvature of the
domain's loss (S and the second moment G of the gradients g by the module's outputs):

    inputs[j, k]    = mean over tokens of (dW_j x) . (dW_k x) = sum((B_j^T B_k) * (A_j S A_k^T))
    curvature[j, k] = t_j' H t_k, nats an answer token, a multiple of
                                                           sum((B_j^T G B_k) * (A_j S A_k^T))

Both need the projections A_k x and B_k^T g alone. For S = G = identity they are the plain inner
product. Source of the factors: Martens and Grosse, arXiv 1503.05671 (K-FAC).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput

__all__ = ["DataInner"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DataInner:
    """K deltas in M target modules under one domain's data.

    inputs, curvature: (M, K, K), symmetric, zero where a delta is not there. modules: M names.
    Raises BadInput when the shapes do not belong together or a value is not finite.
    """

    inputs: Array
    curvature: Array
    modules: tuple[str, ...]

    def __post_init__(self) -> None:
        count = self.inputs.shape[-1]
        wanted = (len(self.modules), count, count)
        if self.inputs.shape != wanted or self.curvature.shape != wanted:
            raise BadInput("inner products and target modules do not belong together")
        if not (np.isfinite(self.inputs).all() and np.isfinite(self.curvature).all()):
            raise BadInput(
                "activations or gradients of the model are not finite",
                hint="An adapter that large breaks the model; add with smaller task weights.",
            )
