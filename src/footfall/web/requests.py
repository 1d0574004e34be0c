"""What handlers read of a request, in one place."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.requests import Request
from starlette.types import Scope

from footfall.errors import BadInput
from footfall.intake.pages import BadPage, page_of
from footfall.intake.query import site_name_asked
from footfall.model import WHOLE_SITE
from footfall.rules import Rules

T = TypeVar("T")


def peer_of(scope: Scope) -> str:
    """The address at the other end of the connection, "" where there is none (a socket in the file system)."""
    client = scope.get("client")
    return client[0] if client else ""


def site_asked(request: Request) -> str:
    """The name of the site in the path, in its one spelling."""
    return site_name_asked(request.path_params["site"])


async def body_of(request: Request, most: int, hint: str = "") -> bytes:
    """The body, read no further than `most` bytes. Raises BadInput; `hint` says what to do with a longer one."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise BadInput("body", f"at most {most} bytes{hint}")
        chunks.append(chunk)
    return b"".join(chunks)


def read_json(raw: bytes | msgspec.Raw, shape: type[T], field: str, wanted: str) -> T:
    """What was sent as JSON of a `shape`. Raises BadInput: of the value at fault, or of `field` where it can't be read at all,
    with what is `wanted`.

    Beside its own errors, msgspec lets two of Python's through: bytes that are not UTF-8, and arrays or objects in one another
    by the thousand.
    """
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$.")
        raise BadInput(path.rstrip("`") or field, f"{text[0].lower()}{text[1:]}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(field, f"{wanted}; {_fault(error)}") from None


def _fault(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "this is not UTF-8"
    if isinstance(error, RecursionError):
        return "this has too many arrays or objects in one another"
    return f"this is not JSON ({error})"


def text_asked(request: Request, name: str) -> str | None:
    """A parameter of the query, None where it is not there.

    Raises BadInput for what is not UTF-8: with signs put in the place of its bytes, as Starlette has it, it is another text.
    """
    raw: str | None = request.query_params.get(name)
    if raw is not None and "\ufffd" in raw:
        try:
            unquote_to_bytes(request.scope["query_string"]).decode()
        except UnicodeDecodeError:
            raise BadInput(name, "UTF-8, percent-encoded") from None
    return raw


def page_asked(request: Request, rules: Rules) -> str:
    """The page asked for, spelled as a site of these rules counts it; WHOLE_SITE where none is."""
    raw = text_asked(request, "page")
    if raw is None:
        return WHOLE_SITE
    try:
        return page_of(raw, rules)
    except BadPage as error:
        raise BadInput("page", f"{error}; a page is a path, as in /blog/post") from None
