"""Reading the access logs of servers: a line goes in, an entry and then a View or a Drop comes out.

`formats` has the table of what can be read, `judging` the rules of what counts. Nothing here opens files or knows a store.
"""

from footfall.importing.formats.entry import Format, LogEntry
from footfall.importing.formats.table import format_named, known_formats, told_format

__all__ = ["Format", "LogEntry", "format_named", "known_formats", "told_format"]
