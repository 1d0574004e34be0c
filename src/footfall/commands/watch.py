"""`footfall watch`: the past minute in the terminal, while it passes: a bar a second, and the top pages below.

It reads the store as a server does, or the live stream of a server with --url; either way what it shows is one event of
`footfall.reading.live`, whole. A pipe gets a line an event. It counts nothing and writes nothing to the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import random
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlsplit

import msgspec
import typer
from rich.console import Console, Group
from rich.live import Live as Screen
from rich.text import Text

from footfall.commands.arguments import (
    SiteArgument,
    StoreOption,
    known_site,
    read_page,
    read_site,
    rules_of,
    settings_with,
    stopped_by_signals,
    with_store,
)
from footfall.errors import BadInput
from footfall.model import WHOLE_SITE
from footfall.reading.live import Event, Live
from footfall.reading.shared_reads import Reads
from footfall.rules import Rules
from footfall.stores import Store
from footfall.terminal import console, number_of, page_lines, read_line, say, shown, views_words, window_words

#: The bars' height in lines, each of eight steps.
BAR_LINES = 5
STEPS = " ▁▂▃▄▅▆▇█"
PLAIN_STEPS = "  ...::##"

#: Lines of the picture that are neither bars nor pages.
OTHER_LINES = 9
MOST_PAGES = 10

#: A stream that is lost is asked for again after a time between these, in seconds; one that is silent for so long is lost.
PAUSE = (0.5, 2.0)
SILENCE = 15.0

#: A token is far shorter, in characters.
MAX_TOKEN = 1000


def watch(
    site: SiteArgument,
    page: Annotated[str | None, typer.Option("--page", metavar="PAGE", help="Only this page.", show_default=False)] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Watch this server, instead of a store.", show_default=False)
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(
            "--token-file", metavar="FILE", help="With --url: a token is in it; - for standard input.", show_default=False
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Show a site's past minute while it passes, until Ctrl-C.

    In a pipe it is a line a second: views in the past minute, and the time (UTC).
    """
    if page is not None:
        read_page("--page", page, Rules())  # what is no page is told before anything is asked
    if url is not None:
        if store is not None:
            raise BadInput("--url", "give --url or --store, not both")
        name, token = read_site(site), _token(token_file)
        path = WHOLE_SITE if page is None else page  # the server spells it
        asyncio.run(_show(_from_server(_address(url, name, path), token), name, path))
        return
    if token_file is not None:
        raise BadInput("--token-file", "a store needs no token; it goes with --url")
    settings = settings_with(store=store)
    site = known_site(site, settings)

    async def run(opened: Store) -> None:
        path = WHOLE_SITE if page is None else read_page("--page", page, await rules_of(opened, settings, site))
        await _show(_from_store(opened, site, path, settings.window), site, path)

    with_store(settings, run)


async def _from_store(store: Store, site: str, page: str, window: int) -> AsyncGenerator[Event | None, None]:
    """Events, one a second; None while the store is away."""
    async with contextlib.aclosing(Live(Reads(store), window=window).watch(site, page)) as events:
        async for event in events:
            yield msgspec.json.decode(event, type=Event) if event else None


async def _from_server(address: str, token: str | None) -> AsyncGenerator[Event | None, None]:
    """The same from a server's stream, which is asked for again when it is lost. Raises BadInput."""
    try:
        import httpx
    except ModuleNotFoundError:
        raise BadInput("--url", "this needs httpx: pip install 'footfall[client]'") from None
    headers = {"Accept": "text/event-stream"} | ({"Authorization": f"Bearer {token}"} if token else {})
    async with httpx.AsyncClient(headers=headers, timeout=SILENCE) as client:
        while True:
            try:
                async with client.stream("GET", address) as reply:
                    _check(reply.status_code, reply.headers.get("content-type", ""))
                    async for event in _events(reply.aiter_lines()):
                        yield event
            except httpx.HTTPError:
                yield None
            await asyncio.sleep(random.uniform(*PAUSE))


def _check(status: int, kind: str) -> None:
    """Raises BadInput where asking again is of no use."""
    if status in (401, 403):
        raise BadInput("--token-file", "the server wants a token with the scope read:SITE; footfall token create makes one")
    may_be_stream = kind.startswith("text/event-stream") if status == 200 else status == 429 or status >= 500
    if not may_be_stream:
        raise BadInput(
            "--url",
            f"no Footfall answers there (status {status}); write the server's address, as in https://footfall.example.com",
        )


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[Event | None]:
    """The events of a stream (HTML standard, 9.2.6, as far as Footfall uses it); none is an `away`."""
    kind = ""
    async for line in lines:
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            try:
                yield None if kind == "away" else msgspec.json.decode(value, type=Event)
            except msgspec.MsgspecError:
                raise BadInput("--url", "what answers there is of another version of Footfall, or none") from None
        elif not line:
            kind = ""


def _address(url: str, site: str, page: str) -> str:
    """The stream's address at a server. Raises BadInput."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment or parts.username:
        raise BadInput("--url", "write the server's address, as in https://footfall.example.com")
    query = f"?page={quote(page)}" if page != WHOLE_SITE else ""
    return f"{url.rstrip('/')}/api/v1/sites/{quote(site, safe=':')}/live{query}"


def _token(file: str | None) -> str | None:
    """The token in a file. Raises BadInput, which does not show it."""
    if file is None:
        return None
    try:
        text = read_line("--token-file") if file == "-" else Path(file).expanduser().read_text("ascii")
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is no text"
        raise BadInput("--token-file", f"can't be read ({reason}); name a file with a token in it") from None
    token = text.strip()
    if not token.isascii() or not token.isprintable() or not 1 <= len(token) <= MAX_TOKEN or " " in token:
        raise BadInput("--token-file", "there is no token in it; footfall token create makes one")
    return token


async def _show(events: AsyncGenerator[Event | None, None], site: str, page: str) -> None:
    """Show events until a signal comes."""
    out, stop = console(), asyncio.Event()
    with stopped_by_signals(stop):
        async with contextlib.aclosing(events):
            showing = asyncio.ensure_future((_draw if out.is_terminal else _write)(events, out, site, page))
            stopping = asyncio.ensure_future(stop.wait())
            try:
                await asyncio.wait({showing, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if showing.done():
                    showing.result()
            finally:
                for task in (showing, stopping):
                    task.cancel()
                await asyncio.gather(showing, stopping, return_exceptions=True)


async def _write(events: AsyncIterator[Event | None], out: Console, _site: str, _page: str) -> None:
    is_away = False
    async for event in events:
        if event is not None:
            say(out, f"{event.views:>9,}  {_moment(event.at, '%Y-%m-%d %H:%M:%S')}")
        elif not is_away:
            say(console(stderr=True), ("note:", "yellow"), " the numbers can't be read now; they go on when they can")
        is_away = event is None


async def _draw(events: AsyncIterator[Event | None], out: Console, site: str, page: str) -> None:
    last: Event | None = None
    with Screen(console=out, auto_refresh=False, transient=False) as screen:
        async for event in events:
            last = event or last
            screen.update(picture(out, last, site, page, is_away=event is None), refresh=True)


def picture(out: Console, event: Event | None, site: str, page: str, *, is_away: bool = False) -> Group:
    """What is drawn of an event, as large as `out` allows."""
    name = site + page
    if event is None:
        return Group(_line((name, "bold")), _line(("the numbers can't be read now", "yellow")))
    is_plain = not out.encoding.startswith("utf")
    seconds = event.seconds[-max(1, out.width - 1) :]
    lines = [_line((name, "bold"), "  ", (f"{_moment(event.at, '%H:%M:%S')} UTC", "dim"))]
    lines += bars(seconds, PLAIN_STEPS if is_plain else STEPS)
    lines.append(_line((("-" if is_plain else "─") * len(seconds), "dim")))
    lines.append(_line((f"{f'{len(seconds)} s ago':<{max(0, len(seconds) - 3)}}now", "dim")))
    here = "" if event.visitors is None else f", {number_of(event.visitors, 'visitor')} here now"
    lines.append(_line((views_words(event.views), "bold"), f" in the past {window_words(len(event.seconds))}{here}"))
    lines.append(_line((f"{event.today:,} today (UTC), {event.total:,} in total", "dim")))
    if len(event.instances) > 1:
        lines.append(_line((", ".join(f"{one.name} {one.views:,}" for one in event.instances), "dim")))
    room = min(MOST_PAGES, max(0, out.height - BAR_LINES - OTHER_LINES))
    if event.pages and room:
        lines += [Text(), *page_lines(out, [(row.page, row.views) for row in event.pages[:room]])]
    if is_away:
        lines.append(_line(("the numbers can't be read now; these are the last", "yellow")))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def bars(seconds: list[int], steps: str) -> list[Text]:
    """A bar a second, oldest first, as lines from the top; the newest is red, the highest BAR_LINES high, none invisible."""
    most, finest = max(seconds, default=0) or 1, len(steps) - 1
    heights = [max(min(views, 1), round(views * BAR_LINES * finest / most)) for views in seconds]
    lines = []
    for below in range((BAR_LINES - 1) * finest, -1, -finest):
        signs = "".join(steps[max(0, min(finest, height - below))] for height in heights)
        lines.append(Text.assemble(signs[:-1], (signs[-1:], "red")))
    return lines


def _line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*(shown(part) if isinstance(part, str) else (shown(part[0]), part[1]) for part in parts))


def _moment(at: int, form: str) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime(form)
