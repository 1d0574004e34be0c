"""Turns counted numbers into the HTML a browser is shown, complete without scripts.

Promises: every name from outside is escaped, and its invisible characters are made visible; a page asks for nothing from
another host, and carries no inline script or style, so that the strictest content security policy fits it. This module must
not know requests, stores or routes: it is given values and gives back bytes (UTF-8).
"""

from __future__ import annotations

import hashlib
import time
import unicodedata
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from footfall.auth import NOBODY, Caller
from footfall.web.dial import LONGEST_BAR, RING_RADIUS, SIZE, Dial, draw_dial
from footfall.web.static_files import built_names

if TYPE_CHECKING:
    import jinja2

#: As many of the past window's pages are listed.
TOP_PAGES = 8

#: A name is shown up to this many characters, so that a page's size does not depend on who named things.
SHOWN_CHARACTERS = 96

#: Used in the counting examples where the server's own address is not known.
EXAMPLE_ORIGIN = "https://counter.example"

#: Unicode categories of characters that show as nothing, or turn what stands beside them around.
_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


class HomeView(msgspec.Struct, frozen=True):
    """What the home page shows.

    `seconds` are (bucket start, views), oldest first, of the `window` seconds that end with the store's second `at` (Unix
    seconds, UTC); `views`, `today` and `total` are the page's own. `pages` are the site's most viewed pages in the window, most
    viewed first, and `site_views` all views of the site in it. `origin` is where this server is reached (``https://host[:port]``);
    without one the counting examples name an example host. `is_live`: a script moves it.
    `caller` decides which other pages it leads to.
    """

    site: str
    page: str
    window: int
    at: int
    seconds: list[tuple[int, int]]
    views: int
    today: int
    total: int
    instance: str
    pages: list[tuple[str, int]]
    site_views: int
    origin: str = EXAMPLE_ORIGIN
    is_live: bool = False
    caller: Caller = NOBODY


class Renderer:
    """Renders the pages. Static files are hashed once, when it is created; the rest waits for the first page (60 ms)."""

    def __init__(self) -> None:
        static = resources.files("footfall.web") / "static"
        self._hashes = {
            entry.name: hashlib.sha256(entry.read_bytes()).hexdigest()[:12] for entry in static.iterdir() if entry.is_file()
        }
        self._built = built_names()

    @cached_property
    def _environment(self) -> jinja2.Environment:
        import jinja2  # only where a page is asked for: a server that counts starts sooner without it

        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("footfall.web", "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.filters.update(grouped=grouped, shown=shown, clock_time=clock_time, counted=counted)
        environment.globals.update(
            static_url=self.static_url,
            has_built=self.has_built,
            ring_radius=RING_RADIUS,
            rim_radius=RING_RADIUS + LONGEST_BAR,
            dial_size=SIZE,
        )
        return environment

    def render(self, template: str, **context: Any) -> bytes:
        """Any page of ours, by its template's name."""
        return self._environment.get_template(template).render(context).encode(errors="replace")

    def has_built(self, name: str) -> bool:
        """Whether a module has been built, by its plain name."""
        return name in self._built

    def static_url(self, name: str) -> str:
        """The URL path of a static file, or of a built module by its plain name (`dashboard.js`).

        It changes with the content, so it may be cached forever. KeyError: no such file.
        """
        if name in self._built:
            return f"/static/{self._built[name]}"
        return f"/static/{name}?v={self._hashes[name]}"

    def render_home(self, view: HomeView) -> bytes:
        """The home page."""
        dial = draw_dial(view.seconds, view.views, view.at)
        pages = view.pages[:TOP_PAGES]
        context: dict[str, Any] = {
            "view": view,
            "caller": view.caller,
            "dial": dial,
            "past": past(view.window),
            "summary": summary(dial),
            "pages": pages,
            "page_rows": TOP_PAGES,
            "most": max((views for _, views in pages), default=0),
            "date": time.strftime("%d %B %Y", time.gmtime(view.at)).lstrip("0"),
            "moment": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(view.at)),
            "origin": view.origin or EXAMPLE_ORIGIN,
            "site_parameter": quote(view.site, safe="", errors="replace"),
        }
        return self.render("home.html", **context)

    def render_unavailable(self, instance: str) -> bytes:
        """The page that goes with a 503: the store can't be read now. `instance` is the name of the server that says so."""
        return self.render("unavailable.html", instance=instance)


def grouped(number: int) -> str:
    """A number with its thousands set apart: 1,284."""
    return f"{number:,}"


def counted(number: int) -> str:
    """A number of views in words: "1 view", "1,284 views"."""
    return f"{number:,} view" if number == 1 else f"{number:,} views"


def past(window: int) -> str:
    """What a window of this many seconds is called after "in the": "past minute", "past 5 minutes", "past 90 seconds"."""
    number, unit = (window // 60, "minute") if window % 60 == 0 else (window, "second")
    return f"past {unit}" if number == 1 else f"past {number} {unit}s"


def clock_time(at: int) -> str:
    """The time of day of a Unix second, UTC: "12:34:41"."""
    return time.strftime("%H:%M:%S", time.gmtime(at))


def shown(name: str, most: int = SHOWN_CHARACTERS) -> str:
    """A name from outside as it can be shown to a reader, cut after `most` characters.

    Characters that can't be seen or that change the direction of writing appear percent-encoded, as they would in a URL.
    The result is still to be escaped for HTML.
    """
    signs: list[str] = []
    room = most
    for sign in name:
        visible = quote(sign, safe="", errors="replace") if unicodedata.category(sign) in _INVISIBLE else sign
        room -= len(visible)
        if room < 0:
            return "".join(signs) + "…"
        signs.append(visible)
    return "".join(signs)


def summary(dial: Dial) -> str:
    """The bars in one sentence, for readers who do not see them."""
    known = dial.by_age
    busiest = max(known, key=lambda bar: bar.views, default=None)
    if busiest is None or busiest.at is None or busiest.views == 0:
        return "No second had a view."
    quiet = sum(bar.views == 0 for bar in known)
    return (
        f"The busiest second was {clock_time(busiest.at)} UTC with {counted(busiest.views)}; "
        f"the newest has {counted(known[0].views)}; {quiet} of {len(known)} had none."
    )
