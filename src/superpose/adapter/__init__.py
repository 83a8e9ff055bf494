"""The vector space of adapters."""

from superpose.adapter.adapter import Adapter
from superpose.adapter.delta import Delta
from superpose.adapter.parents import Parent
from superpose.adapter.same_base import check_same_base

__all__ = ["Adapter", "Delta", "Parent", "check_same_base"]
