"""Reading the access logs of servers: a line goes in, an entry and then a View or a Drop comes out.

`formats` has the table of what can be read, `judging` the rules of what counts. Nothing here opens files or knows a store.
"""

from footfall.intake.logs.entry import Format, LogEntry
from footfall.intake.logs.formats import format_named, known_formats, told_format
from footfall.intake.logs.judging import Judgement, LogJudge, drop_reasons

__all__ = ["Format", "Judgement", "LogEntry", "LogJudge", "drop_reasons", "format_named", "known_formats", "told_format"]
