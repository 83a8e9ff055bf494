"""The order of the rows of query and key weights, in transformers' files and in llama.cpp's.

A rotary embedding turns pairs of a head's components. transformers pairs component i with i + d/2,
llama.cpp's `llama` and its kin pair 2 i with 2 i + 1, so their converter reorders the rows of q and
k. An adapter's B has rows in the same order; nothing else of a delta knows of it.
Source: llama.cpp, conversion/llama.py, `LlamaModel.permute`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from superpose.adapter import Delta
from superpose.errors import BadInput
from superpose.lowrank.terms import formed, namespace_of


def interleaved(delta: Delta, heads: int, module: str) -> Delta:
    """Give the delta with its rows in llama.cpp's order; heads: that share these rows.

    Raises BadInput when the rows cannot be divided among so many heads.
    """
    return _reordered(delta, _order(delta.shape[0], heads, module))


def halved(delta: Delta, heads: int, module: str) -> Delta:
    """Give the delta with its rows in transformers' order: undoes `interleaved`."""
    return _reordered(delta, np.argsort(_order(delta.shape[0], heads, module)))


def _order(rows: int, heads: int, module: str) -> np.ndarray:
    if rows % (2 * heads):
        raise BadInput(
            f"`{module}` has {rows} rows, which {heads} heads cannot share in pairs",
            hint="Was the adapter trained on another base model?",
        )
    return np.arange(rows).reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)


def _reordered(delta: Delta, order: np.ndarray) -> Delta:
    terms = []
    for term in formed(delta.terms):
        xp = namespace_of(term.B)
        terms.append(term._replace(B=xp.take(term.B, xp.asarray(order), axis=0)))
    return replace(delta, terms=tuple(terms))
