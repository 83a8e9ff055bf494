"""A library of adapters: how long an index and all pairs take, and what is found, how rightly.

Its parts are `speed`, `sketched` and `queries`; `judging` makes one result of what they left.
"""

from __future__ import annotations

from benchmarks.library.judging import measure

__all__ = ["measure"]
