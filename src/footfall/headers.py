"""A request's headers by name. Lines of one name are one list (RFC 9110, 5.3): a proxy that adds a line adds to the list.

What is read of a request is read here, so no line of a name is lost. A value that has to be a single one and came twice is a list
as well, and so matches nothing: it is not for us to choose which of the two was meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

#: Header values by lower-case name.
Headers = Mapping[bytes, bytes]

#: Header lines as they came, their names in lower case.
Lines = Sequence[tuple[bytes, bytes]]

NO_HEADERS: Headers = MappingProxyType({})


def headers_of(lines: Lines) -> Headers:
    """The headers of a request. All names differ in nearly every one, and then this costs what `dict` does."""
    found = dict(lines)
    return found if len(found) == len(lines) else _joined(lines)


def _joined(lines: Lines) -> Headers:
    by_name: dict[bytes, list[bytes]] = {}
    for name, value in lines:
        by_name.setdefault(name, []).append(value)
    # Cookies have a separator of their own (RFC 9113, 8.2.3).
    return {name: (b"; " if name == b"cookie" else b", ").join(values) for name, values in by_name.items()}
