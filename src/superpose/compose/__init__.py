"""Ways to make one adapter of several: one file a method."""

from superpose.compose.compressed import Compressed, best_rank
from superpose.compose.exact import exact_sum
from superpose.compose.on_base import on_base

__all__ = ["Compressed", "best_rank", "exact_sum", "on_base"]
