"""`python -m footfall` and the installed `footfall`: the command line, with the garbage collector out of the way of its imports.

What an import makes lives for ever: looking through it again and again took a seventh of the time that a start takes.
"""

from __future__ import annotations

import gc
from typing import NoReturn

#: Collections come as seldom as in a server that runs: see `footfall.server`.
THRESHOLDS = (50_000, 20, 50)


def main() -> NoReturn:
    """Run the command line."""
    gc.set_threshold(*THRESHOLDS)
    from footfall.cli import main as run  # only now, with its imports

    run()


if __name__ == "__main__":
    main()
