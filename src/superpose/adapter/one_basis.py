"""Several adapters in one basis: dW_k = U C_k V of each target module, U and V shared by all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from superpose.adapter.adapter import Adapter
from superpose.adapter.made import Made
from superpose.lowrank.terms import Array


class SharedModule(NamedTuple):
    """One target module's basis. outputs U (out_features, a), inputs V (b, in_features)."""

    outputs: Array
    inputs: Array


class BasisCore(NamedTuple):
    """What an adapter is in a module's basis, C = output @ input, so that B = U output.

    output (a, q). input (q, b), A = input V; None where it would be the identity, and q is b.
    """

    output: Array
    input: Array | None


@dataclass(frozen=True, eq=False)
class BasisMember:
    """One adapter in the basis.

    adapter: as it was, under the names that all have. cores: of the modules that it has in the
    basis. zeros: modules that it has and does not change. What it holds besides (biases, heads of
    another shape, stored tensors) is in no basis and stays its own. made: what becomes of it.
    sizes: its singular values in each module of the basis.
    """

    adapter: Adapter
    cores: Mapping[str, BasisCore]
    zeros: frozenset[str]
    made: Made
    sizes: Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class OneBasis:
    """Adapters of one base model in one basis of each target module. float64, NumPy."""

    modules: Mapping[str, SharedModule]
    members: tuple[BasisMember, ...]
