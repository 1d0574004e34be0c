"""Every address of the server, in one table: what answers, to which methods, who may ask, and what it is for.

The table is what the application is built from, what the documentation is checked against, and what the test of access goes
through row by row. It knows no handler.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec


class Needs(enum.StrEnum):
    """What a caller needs for a row's reply; without it the reply is 401, or leads to the login."""

    #: nothing
    NOTHING = "nothing"
    #: to read the site: it is public, or the caller has read:SITE, a share link, or is an admin
    READ = "read"
    #: to see the counters of the site's pages: they are public, or the caller may read the site
    COUNTER = "counter"
    #: to hand in views of the site: write:SITE, or an admin
    WRITE = "write"
    #: to be an admin, by a token or a log-in
    ADMIN = "admin"
    #: this machine, the metrics' token, or an admin's token
    METRICS = "metrics"


class Row(msgspec.Struct, frozen=True):
    """One address: its path, the name of what answers, the methods (None: that decides), what it is for, and who may ask."""

    path: str
    answers: str
    methods: Sequence[str] | None
    help: str
    needs: Needs = Needs.NOTHING


_SITE = "/api/v1/sites/{site}"

#: The hot addresses first: Starlette tries them in this order.
ROUTES = (
    Row("/count", "count", None, "counts a view of page `p` of site `s`"),
    Row("/", "home", None, "counts a view of the home site's page `/` and shows the past minute"),
    Row("/count.gif", "pixel", None, "counts a view, answered with a picture of one pixel"),
    Row("/ping", "ping", None, "`pong`; nothing is touched"),
    Row(f"{_SITE}/count", "api_count", ["GET"], "a page's counts, or the whole site's", Needs.READ),
    Row(f"{_SITE}/series", "api_series", ["GET"], "views by second, minute, hour, day or month", Needs.READ),
    Row(f"{_SITE}/pages", "api_pages", ["GET"], "the most viewed pages of a window or period", Needs.READ),
    Row(f"{_SITE}/pages", "api_forget", ["DELETE"], "deletes a page and its history", Needs.ADMIN),
    Row(f"{_SITE}/breakdown/{{dimension}}", "api_breakdown", ["GET"], "views by channel, referrer, browser, …", Needs.READ),
    Row(f"{_SITE}/visitors", "api_visitors", ["GET"], "visitors by hour or day", Needs.READ),
    Row(f"{_SITE}/present", "api_present", ["GET"], "visitors here now", Needs.READ),
    Row(f"{_SITE}/live", "api_live", None, "the past minute as a stream of events, one a second", Needs.READ),
    Row(f"{_SITE}/ledger", "api_ledger", ["GET"], "the outcomes of all views of a period, and why", Needs.READ),
    Row(f"{_SITE}/export.csv", "export_csv", ["GET"], "all rows of a site, as CSV", Needs.READ),
    Row(f"{_SITE}/export.ndjson", "export_ndjson", ["GET"], "all rows of a site, as one JSON object per line", Needs.READ),
    Row(f"{_SITE}/views", "api_views", ["POST"], "counts many views at once, with a token", Needs.WRITE),
    Row(f"{_SITE}/shares", "api_shares", ["GET", "POST", "DELETE"], "a site's share links: list, create, revoke", Needs.ADMIN),
    Row("/api/v1/sites", "api_sites", ["GET"], "the sites that the caller may read"),
    Row("/api/v1/sites", "api_sites", ["POST"], "creates a site", Needs.ADMIN),
    Row(_SITE, "api_site", ["GET", "PATCH", "DELETE"], "a site's rules: show, change; deletes a site", Needs.ADMIN),
    Row("/api/v1/tokens", "api_tokens", ["GET", "POST", "DELETE"], "tokens: list, create, revoke", Needs.ADMIN),
    Row("/sites", "sites", ["GET"], "the sites that the caller may read, with their live numbers"),
    Row("/sites", "add_site", ["POST"], "creates a site, by the form of that page", Needs.ADMIN),
    Row("/sites/{site}", "dashboard", ["GET"], "a site's dashboard", Needs.READ),
    Row("/sites/{site}/settings", "settings", ["GET", "POST"], "a site's rules as a form", Needs.ADMIN),
    Row("/access", "access", ["GET", "POST"], "tokens and share links: list, create, revoke", Needs.ADMIN),
    Row("/login", "login", ["GET", "POST"], "the login form"),
    Row("/logout", "logout", ["POST"], "logs out"),
    Row("/welcome", "welcome", ["GET", "POST"], "sets the first password, by a one-time link"),
    Row("/share/{secret}", "share", ["GET"], "opens a site's dashboard to anyone who has the link"),
    Row("/counter/{site}.svg", "counter_svg", ["GET"], "a page's number as a badge", Needs.COUNTER),
    Row("/counter/{site}.json", "counter_json", ["GET"], "the same as JSON, also in shields.io's form", Needs.COUNTER),
    Row("/counter/{site}.txt", "counter_text", ["GET"], "the same as plain text", Needs.COUNTER),
    Row("/openapi.json", "openapi", ["GET"], "this interface as an OpenAPI document"),
    Row("/docs", "docs", ["GET"], "the same as a page"),
    Row("/livez", "live", ["GET"], "200 as long as the process runs"),
    Row("/readyz", "ready", ["GET"], "200 while views can be acknowledged"),
    Row("/metrics", "metrics", ["GET"], "metrics for Prometheus, for this machine or with a token", Needs.METRICS),
    Row("/footfall.js", "snippet", ["GET"], "the snippet: the script that counts the views of a page"),
    Row("/footfall-spans.js", "snippet", ["GET"], "the part of the snippet that only some pages need"),
    Row("/favicon.ico", "favicon", ["GET"], "the icon"),
    Row("/static/{name}", "static", ["GET"], "scripts, style sheets and pictures of our own pages"),
)


#: Addresses that are for people and their browsers: pages, their forms, and the files they need. No program needs them described.
FOR_PEOPLE = frozenset(
    {
        *("/sites", "/sites/{site}", "/sites/{site}/settings", "/access", "/login", "/logout", "/welcome", "/share/{secret}"),
        *("/docs", "/footfall.js", "/footfall-spans.js", "/favicon.ico", "/static/{name}"),
    }
)


def route_table() -> list[tuple[str, str]]:
    """Every address and what it is for, in one line."""
    return [(row.path, row.help) for row in ROUTES]
