"""Forms of our own pages: whether one may be taken, reading it, and where to go after it.

Anyone can send anything to a log-in; so a body is bounded in bytes and in fields, and files are not taken. What the fields say is
for their readers to judge.
"""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from footfall.auth import Caller
from footfall.errors import BadInput
from footfall.web.dashboard.pages import Pages, to_login
from footfall.web.permissions import Access

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


def refusal(request: Request, caller: Caller, form: FormData, access: Access, pages: Pages) -> Response | None:
    """The reply to a form that is not an admin's, or was not sent by our own page; None where it may be taken."""
    if caller.by != "session" or not caller.is_admin:
        return to_login(request)
    proof = str(form.get("proof", ""))
    if access.comes_from_our_pages(request) and hmac.compare_digest(proof.encode(), caller.proof.encode()):
        return None
    text = "The form did not come from this server's own page, or you have logged in again since it was opened."
    onward = ((request.url.path, "Open the page again"), ("/sites", "All sites"))
    return pages.trouble(request, 403, caller, "This was not accepted", text, onward)


def see_other(target: str) -> Response:
    """Go on to another page after a form."""
    return RedirectResponse(target, 303, {"Cache-Control": "no-store"})
