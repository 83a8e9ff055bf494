"""Random partners: adapters that know nothing, as large as trained ones.

What such a partner does to a domain is what any perturbation of that size would do.
"""

from __future__ import annotations

import zlib

import numpy as np

from superpose.adapter import Adapter, Delta
from superpose.lowrank.inner_products import norm

__all__ = ["random_partner"]


def random_partner(adapter: Adapter, seed: int) -> Adapter:
    """Gaussian factors in every target module, of the adapter's rank and Frobenius norm there.

    seed: of the draw; two adapters of different names get different factors.
    """
    rng = np.random.default_rng([seed, zlib.crc32(adapter.name.encode())])
    deltas = {name: _random_delta(delta, rng) for name, delta in adapter.items()}
    return Adapter(deltas, name=f"random {adapter.name}", base_model=adapter.base_model)


def _random_delta(delta: Delta, rng: np.random.Generator) -> Delta:
    out_features, in_features = delta.shape
    B = rng.standard_normal((out_features, delta.rank), dtype=np.float32)
    A = rng.standard_normal((delta.rank, in_features), dtype=np.float32)
    drawn = Delta.of(B, A)
    return drawn.with_coefficients(lambda c: c * norm(delta.terms) / norm(drawn.terms))
