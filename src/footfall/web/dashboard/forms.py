"""Reading a form that one of our own pages sends: whole, but no further than it may be long.

Anyone can send anything to a log-in; so a body is bounded in bytes and in fields, and files are not taken. What the fields say is
for whoever asked for them to judge.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.datastructures import FormData
from starlette.requests import Request

from footfall.errors import BadInput

#: Bytes of a form that anyone may send: a password of the greatest length, all of it percent-encoded, and a few short fields.
DOOR_BYTES = 32 * 1024

#: Bytes of a form that an admin sends: lists of a hundred entries each, percent-encoded.
ADMIN_BYTES = 1024 * 1024

#: Fields of a form; ours have fewer.
MAX_FIELDS = 60

_TYPE = "application/x-www-form-urlencoded"


async def read_form(request: Request, most: int = DOOR_BYTES) -> FormData:
    """The fields of a form of at most `most` bytes. Raises BadInput."""
    kind = request.headers.get("content-type", _TYPE).partition(";")[0].strip().lower()
    if kind != _TYPE:
        raise BadInput("content-type", f"a form is sent as {_TYPE}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise BadInput("body", f"a form of at most {most} bytes")
    try:
        fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadInput("body", f"a form of at most {MAX_FIELDS} fields") from None
    return FormData(dict(reversed(fields)))  # of equal names the first
