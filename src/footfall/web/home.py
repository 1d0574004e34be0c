"""`GET /`: counts a view of page `/` of the home site, and shows the past minute to callers that may read the site.

Text for command lines, a designed page for browsers, the same numbers in both. A robot or a prefetch is
shown the page and not counted. All others are counted, and see no number and no page of a site that they may not read.
Where there is no home site, browsers are sent to the list of sites.
"""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from footfall.auth import Caller
from footfall.counting.counter import Counter
from footfall.counting.recording import Recorder, outcome_of
from footfall.errors import FootfallError
from footfall.headers import Headers, headers_of
from footfall.intake.request import Intake
from footfall.model import WHOLE_SITE, Count, Drop, Outcome, Settled, Span, Tier, View
from footfall.reading.shared_reads import Reads
from footfall.telemetry.ledger import Ledger
from footfall.web.permissions import Access
from footfall.web.problems import RETRY_AFTER, answer_error, problem
from footfall.web.rendering import TOP_PAGES, HomeView, Renderer, counted, past
from footfall.web.replies import CountingReplies, RawHeaders
from footfall.web.request_ids import accompanied
from footfall.web.requests import peer_of

#: Nothing but our own files, no scripts, no frames.
SECURITY_HEADERS: RawHeaders = [
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
]

#: The same, with our own script and its streams: for a page that moves.
LIVE_HEADERS: RawHeaders = [
    (SECURITY_HEADERS[0][0], SECURITY_HEADERS[0][1] + b"; script-src 'self'; connect-src 'self'"),
    *SECURITY_HEADERS[1:],
]

_VARY = (b"vary", b"Accept")
_PLAIN = b"text/plain; charset=utf-8"


class HomeEndpoint:
    """The home page of `site`, over a window of `window` seconds; it moves where the browser may ask for the numbers as well."""

    def __init__(
        self,
        site: str,
        window: int,
        intake: Intake,
        counter: Counter,
        reads: Reads,
        ledger: Ledger,
        replies: CountingReplies,
        renderer: Renderer,
        instance: str,
        access: Access,
    ) -> None:
        self._view = View(site, "/")
        self._window = window
        self._intake = intake
        self._recorder = Recorder(intake, counter)
        self._reads = reads
        self._ledger = ledger
        self._replies = replies
        self._renderer = renderer
        self._instance = instance
        self._access = access
        self._later = f"the count can't be read at the moment; this view is kept and will be counted\ninstance: {instance}\n"
        self._private = f"the numbers of this page are private\ninstance: {instance}\n".encode()
        self._no_site = f"no site has this address as its front page\ninstance: {instance}\n".encode()
        self._text = f"%s in the {past(window)}\ninstance: {instance}\n"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        except Exception as error:
            await answer_error(error, scope, receive, send, self._ledger)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        headers = headers_of(scope["headers"])
        wants_page = b"text/html" in headers.get(b"accept", b"")
        if method == "HEAD":
            content_type = b"text/html; charset=utf-8" if wants_page else _PLAIN
            start = [(b"content-type", content_type), (b"cache-control", b"no-store"), _VARY]
            await send({"type": "http.response.start", "status": 200, "headers": start})
            await send({"type": "http.response.body", "body": b""})
        elif method != "GET":
            await problem(405, "the home page is read with GET", {"Allow": "GET, HEAD"})(scope, receive, send)
        elif not self._access.has_site(self._view.site):
            await self._answer_without_site(scope, headers, send, wants_page=wants_page)
        elif wants_page:
            await self._answer_page(scope, headers, send)
        else:
            await self._answer_text(scope, headers, send)

    async def _answer_without_site(self, scope: Scope, headers: Headers, send: Send, *, wants_page: bool) -> None:
        outcome = outcome_of(await self._record(headers, peer_of(scope), wanted=False))
        if not wants_page:
            await self._replies.send_body(send, outcome, 200, _PLAIN, self._no_site)
            return
        start = [*self._replies.headers(outcome), _VARY, (b"location", b"/sites"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": start})
        await send({"type": "http.response.body", "body": b""})

    async def _answer_text(self, scope: Scope, headers: Headers, send: Send) -> None:
        may_read = await self._access.is_known_reader(headers, self._view.site)
        result = await self._record(headers, peer_of(scope), wanted=may_read)
        outcome = outcome_of(result)
        if not may_read:
            await self._replies.send_body(send, outcome, _taken(outcome), _PLAIN, self._private)
            return
        if isinstance(result, Drop) or outcome is Outcome.REFUSED:
            count: Count | None = (await self._reads.counts(self._view.site, self._view.page, self._window)).pages[
                self._view.page
            ]
        else:
            count = result.count
        if count is None:
            await self._replies.send_body(send, outcome, 202, _PLAIN, self._later.encode())
            return
        await self._replies.send_body(send, outcome, 200, _PLAIN, (self._text % counted(count.views)).encode())

    async def _record(self, headers: Headers, peer: str, *, wanted: bool) -> Settled | Drop:
        return await self._recorder.record(self._intake.classify_home(self._view, headers, peer), headers, peer, wanted=wanted)

    async def _answer_page(self, scope: Scope, headers: Headers, send: Send) -> None:
        outcome: Outcome | Drop | None = None
        try:
            outcome = outcome_of(await self._record(headers, peer_of(scope), wanted=False))
            if not await self._access.is_known_reader(headers, self._view.site):
                page = self._renderer.render(
                    "private.html", instance=self._instance, caller=await self._access.known_caller(headers)
                )
                await self._send_page(send, _taken(outcome), outcome, page)
                return
            is_live = self._access.is_public(self._view.site) or b"authorization" not in headers
            caller = await self._access.known_caller(headers)
            page = self._renderer.render_home(await self._read(self._access.origin(scope), caller, is_live=is_live))
        except FootfallError:
            await self._send_unavailable(accompanied(scope, send, self._ledger), outcome)
            return
        await self._send_page(send, 200, outcome, page, LIVE_HEADERS if is_live else SECURITY_HEADERS)

    async def _send_page(
        self, send: Send, status: int, outcome: Outcome | Drop | None, page: bytes, more: RawHeaders = SECURITY_HEADERS
    ) -> None:
        start = [
            *(self._replies.headers(outcome) if outcome else self._replies.bare_headers),
            *more,
            _VARY,
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", str(len(page)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": start})
        await send({"type": "http.response.body", "body": page})

    async def _read(self, origin: str, caller: Caller, *, is_live: bool) -> HomeView:
        """What the page shows: its bars and its number are one reading, so they agree."""
        view, span = self._view, Span(Tier.SECOND, self._window)
        seconds = await self._reads.newest(view.site, view.page, span)
        counts = await self._reads.counts(view.site, view.page, self._window)
        whole = await self._reads.counts(view.site, WHOLE_SITE, self._window)
        top = await self._reads.top(view.site, span, TOP_PAGES)
        return HomeView(
            site=view.site,
            page=view.page,
            window=self._window,
            at=seconds.at,
            seconds=seconds.points,
            views=sum(n for _, n in seconds.points),
            today=counts.pages[view.page].today,
            total=counts.pages[view.page].total,
            instance=self._instance,
            pages=top.pages,
            site_views=whole.pages[WHOLE_SITE].views,
            origin=origin,
            is_live=is_live,
            caller=caller,
        )

    async def _send_unavailable(self, send: Send, outcome: Outcome | Drop | None) -> None:
        """The numbers can't be read. What has been taken must not be sent again, so only a view that was not is a 503."""
        page = self._renderer.render_unavailable(self._instance)
        retry = [] if outcome else [(b"retry-after", str(RETRY_AFTER).encode())]
        status = _taken(outcome) if isinstance(outcome, Outcome) else 503
        await self._send_page(send, status, outcome, page, [*SECURITY_HEADERS, *retry])


def _taken(outcome: Outcome | Drop) -> int:
    """The status that says that a view need not be sent again: 202 where it still has to be stored."""
    return 202 if outcome is Outcome.SPOOLED else 200
