"""What handlers read of a request, in one place."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import Scope

from footfall.errors import BadInput
from footfall.intake.pages import BadPage, page_of
from footfall.intake.query import site_name_asked
from footfall.model import WHOLE_SITE
from footfall.rules import Rules


def peer_of(scope: Scope) -> str:
    """The address at the other end of the connection, "" where there is none (a socket in the file system)."""
    client = scope.get("client")
    return client[0] if client else ""


def site_asked(request: Request) -> str:
    """The name of the site in the path, in its one spelling."""
    return site_name_asked(request.path_params["site"])


def page_asked(request: Request, rules: Rules) -> str:
    """The page asked for, spelled as a site of these rules counts it; WHOLE_SITE where none is."""
    raw = request.query_params.get("page")
    if raw is None:
        return WHOLE_SITE
    try:
        return page_of(raw, rules)
    except BadPage as error:
        raise BadInput("page", f"{error}; a page is a path, as in /blog/post") from None
