"""Which tools write the sum of two adapters, and which write something else.

`python -m benchmarks.exactness --help` tells how it is run; docs/exactness.md is what came out.
"""
