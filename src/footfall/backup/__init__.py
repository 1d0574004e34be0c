"""Backing a store up while it counts, and restoring the backup into an empty store of any kind.

A backup is lines of JSON, written and read one by one, so neither its size nor the store's matters: a header, the sites'
documents (which say how long each is kept), each site's rows and the sums of all its buckets that had ended, the other documents
worth keeping, and an end that says how much there was. A restore is right when the new store has the same sums. Salts, sessions,
attempts to log in and what instances tell each other are left out. Nothing here knows a command line.
"""

from footfall.backup.lines import KINDS, PARTS, End, Sums
from footfall.backup.reading import lines_of, read_backup
from footfall.backup.restoring import Restored, restore
from footfall.backup.writing import back_up

__all__ = ["KINDS", "PARTS", "End", "Restored", "Sums", "back_up", "lines_of", "read_backup", "restore"]
