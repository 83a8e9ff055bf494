"""Blocks on another device: the products of all pairs on any array-API namespace's arrays.

The factors of a block are moved once; products and the sums over each pair's ranks are taken where
they lie, in float32, and the small rest comes back. Nothing here knows torch: who asks gives what
moves an array.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from superpose.errors import BadInput
from superpose.library.blocks import BlockProducts, Stacked, products

Array: TypeAlias = Any

Place: TypeAlias = Callable[[Array], Array]
"""Gives a NumPy array's numbers where products are to be taken. Pickled for workers."""


def block_there(block: Stacked, place: Place | None) -> Stacked:
    """Give a block whose factors lie where they are placed; None leaves them in NumPy."""
    if place is None:
        return block
    moved = {
        key: module._replace(A=place(module.A), B=place(module.B))
        for key, module in block.modules.items()
    }
    return replace(block, modules=moved)


def products_there(x: Stacked, y: Stacked) -> BlockProducts:
    """Give `products` of blocks that lie anywhere.

    Raises BadInput where a device's memory does not hold them.
    """
    try:
        return products(x, y)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":
            raise
        raise BadInput(
            "the device's memory does not hold the products of two blocks",
            hint="Leave --device out: NumPy takes them on the CPU.",
        ) from error
