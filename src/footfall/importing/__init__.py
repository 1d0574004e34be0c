"""Importing the access logs of servers into a store: whole, or as they grow.

`import_log` and `Import` read logs to their ends, `Follow` one that is being written to, through its rotations. A line counts
once, whatever was imported before, by whom, and however it ended.
"""

from footfall.importing.following import Follow
from footfall.importing.lines import MAX_LINE_BYTES, PART_BYTES, PART_LINES, Lines
from footfall.importing.log_file import Log, open_log
from footfall.importing.log_import import ATTEMPTS, DryRun, Import, import_log, writer_of
from footfall.importing.summary import Sample, Summary
from footfall.importing.workers import MOST_WORKERS, Recipe, Workers, workers_that_help

__all__ = [
    "ATTEMPTS",
    "MAX_LINE_BYTES",
    "MOST_WORKERS",
    "PART_BYTES",
    "PART_LINES",
    "DryRun",
    "Follow",
    "Import",
    "Lines",
    "Log",
    "Recipe",
    "Sample",
    "Summary",
    "Workers",
    "import_log",
    "open_log",
    "workers_that_help",
    "writer_of",
]
