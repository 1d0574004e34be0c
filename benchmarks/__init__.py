"""What Footfall costs, measured: throughput beside a bare server, reads as history grows, and memory. `README.md` has the method.

Run by `python -m benchmarks` from the root of the checkout. Nothing in `src` knows of this package.
"""


class BenchmarkError(Exception):
    """A benchmark can't give a number that may be trusted; one line says why."""
