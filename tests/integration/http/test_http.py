"""The HTTP interface, address by address, on the real application over a real SQLite file and a clock that tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from footfall.settings import load_settings
from footfall.web.app import make_app
from footfall.web.ingest.count import PIXEL
from footfall.web.ingest.front import Front
from tests.contract.conftest import Clock

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
START = 1_700_000_000.0
EVENT_ID = "abcdefghijklmnop"


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
async def app(tmp_path: Path, clock: Clock) -> AsyncIterator[Front]:
    settings = load_settings(
        {
            "store": f"sqlite:///{tmp_path}/footfall.db",
            "sites": "localhost,example.com,private.example",
            "public_sites": "localhost,example.com",
        },
        environ={},
    )
    app = make_app(settings, "node-1", clock)
    async with app.app.router.lifespan_context(app.app):
        yield app


@pytest.fixture
async def client(app: Front) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers={"User-Agent": BROWSER}) as client:
        yield client


async def count(client: httpx.AsyncClient, page: str = "/", site: str = "localhost", **query: str) -> httpx.Response:
    return await client.get("/count", params={"s": site, "p": page, **query})


async def views(client: httpx.AsyncClient, page: str | None = "/", site: str = "localhost", window: int = 60) -> int:
    query: dict[str, str | int] = {"window": window} | ({"page": page} if page else {})
    reply = await client.get(f"/api/v1/sites/{site}/count", params=query)
    assert reply.status_code == 200, reply.text
    number: int = reply.json()["views"]
    return number


async def ledger(client: httpx.AsyncClient) -> dict[str, float]:
    lines = (await client.get("/metrics")).text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


class TestHome:
    async def test_text_says_the_count_and_the_instance_on_two_lines(self, client: httpx.AsyncClient) -> None:
        """Two requests show 1 and 2; each is its own view."""
        for expected in ("1 view", "2 views"):
            reply = await client.get("/", headers={"User-Agent": "curl/8.5.0", "Accept": "*/*"})
            assert reply.text == f"{expected} in the past minute\ninstance: node-1\n"
            assert reply.headers["content-type"] == "text/plain; charset=utf-8"
            assert reply.headers["x-footfall"] == "counted"
            assert reply.headers["x-footfall-instance"] == "node-1"
            assert reply.headers["cache-control"] == "no-store"

    async def test_a_view_stays_for_exactly_sixty_seconds(self, client: httpx.AsyncClient, clock: Clock) -> None:
        """The view is in the count of its own second and the 59 that follow, and in no other."""
        await client.get("/")
        clock.t = START + 59
        assert await views(client) == 1
        clock.t = START + 60
        assert await views(client) == 0

    async def test_a_browser_gets_the_page_with_the_same_number(self, client: httpx.AsyncClient) -> None:
        """The HTML counts like the text, and names count and instance."""
        await client.get("/")
        reply = await client.get("/", headers={"Accept": "text/html,application/xhtml+xml"})
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert "2 views in the past minute" in reply.text
        assert "node-1" in reply.text
        assert "unsafe" not in reply.headers["content-security-policy"]
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["x-footfall"] == "counted"
        assert await views(client) == 2

    async def test_a_robot_sees_the_page_and_is_not_counted(self, client: httpx.AsyncClient) -> None:
        """A robot is shown the number it did not change, in text and in HTML."""
        await client.get("/")
        for accept in ("*/*", "text/html"):
            reply = await client.get("/", headers={"User-Agent": GOOGLEBOT, "Accept": accept})
            assert reply.status_code == 200
            assert reply.headers["x-footfall"] == "dropped; reason=bot"
        assert await views(client) == 1

    @pytest.mark.parametrize("agent", ["curl/8.5.0", "Wget/1.21.4", "HTTPie/3.2.2", ""])
    async def test_command_line_clients_count_here(self, client: httpx.AsyncClient, agent: str) -> None:
        """curl, wget and httpie count on `GET /`; so does a client that names no agent."""
        assert (await client.get("/", headers={"User-Agent": agent})).headers["x-footfall"] == "counted"

    async def test_head_and_other_methods_count_nothing(self, client: httpx.AsyncClient) -> None:
        """HEAD is answered like GET without a body, the rest is refused; no view comes of either."""
        assert (await client.head("/")).status_code == 200
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            reply = await client.request(method, "/")
            assert reply.status_code == 405
            assert reply.headers["allow"] == "GET, HEAD"
        assert await views(client) == 0

    async def test_a_host_header_can_not_inject_markup(self, client: httpx.AsyncClient) -> None:
        """The address shown in the examples is escaped or left out."""
        reply = await client.get("/", headers={"Accept": "text/html", "Host": '"><script>alert(1)</script>'})
        assert "<script>" not in reply.text


class TestCount:
    async def test_a_view_is_answered_without_content(self, client: httpx.AsyncClient) -> None:
        """204, with the headers every counting reply has."""
        reply = await count(client, "/blog/post")
        assert reply.status_code == 204
        assert reply.headers["x-footfall"] == "counted"
        assert reply.headers["x-footfall-instance"] == "node-1"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["access-control-allow-origin"] == "*"
        assert await views(client, "/blog/post") == 1

    async def test_json_holds_the_count_own_view_included(self, client: httpx.AsyncClient) -> None:
        """Each asking view finds itself in its own answer."""
        for expected in (1, 2, 3):
            reply = await client.post("/count", params={"s": "localhost", "p": "/x"}, headers={"Accept": "application/json"})
            assert reply.status_code == 200
            assert reply.json() == {
                "site": "localhost",
                "page": "/x",
                "window": 60,
                "views": expected,
                "today": expected,
                "total": expected,
                "at": int(START),
                "instance": "node-1",
            }

    async def test_a_site_that_is_not_public_never_answers_numbers(self, client: httpx.AsyncClient) -> None:
        """Who may not read gets 204 whatever they accept, and the view counts."""
        reply = await client.get("/count", params={"s": "private.example", "p": "/"}, headers={"Accept": "application/json"})
        assert (reply.status_code, reply.content) == (204, b"")
        assert reply.headers["x-footfall"] == "counted"

    async def test_the_pixel_is_a_picture_of_43_bytes(self, client: httpx.AsyncClient) -> None:
        """The same count, answered with a GIF."""
        reply = await client.get("/count.gif", params={"s": "localhost", "p": "/mail"})
        assert reply.content == PIXEL
        assert len(PIXEL) == 43
        assert reply.headers["content-type"] == "image/gif"
        assert reply.headers["x-footfall"] == "counted"
        assert await views(client, "/mail") == 1

    async def test_the_same_event_id_counts_once(self, client: httpx.AsyncClient) -> None:
        """The second sending is called a duplicate and changes nothing, also as the first parameter."""
        assert (await count(client, e=EVENT_ID)).headers["x-footfall"] == "counted"
        assert (await count(client, e=EVENT_ID)).headers["x-footfall"] == "duplicate"
        assert (await client.get(f"/count?e={EVENT_ID}&s=localhost&p=/")).headers["x-footfall"] == "duplicate"
        assert await views(client) == 1

    async def test_pages_are_one_however_they_are_written(self, client: httpx.AsyncClient) -> None:
        """Percent-encoding, dot segments and query strings make no new page."""
        for page in ("/caf%C3%A9", "/café", "/x/../café", "/café?utm_source=a", "//café"):
            await count(client, page)
        assert await views(client, "/café") == 5

    @pytest.mark.parametrize(
        ("query", "headers", "reason"),
        [
            ("s=nobody.example&p=/", {}, "unknown-site"),
            ("s=localhost&p=/", {"User-Agent": GOOGLEBOT}, "bot"),
            ("s=localhost&p=/", {"User-Agent": "curl/8.5.0"}, "bot"),
            ("s=localhost&p=/", {"Sec-Purpose": "prefetch"}, "prefetch"),
            ("s=localhost&p=/", {"Sec-Purpose": "prefetch;prerender"}, "prefetch"),
            ("s=localhost&p=/", {"Purpose": "prefetch"}, "prefetch"),
            ("s=localhost&p=/", {"X-Moz": "prefetch"}, "prefetch"),
            ("s=localhost&p=no-slash", {}, "bad-page"),
            ("s=localhost&p=/%00", {}, "bad-page"),
            ("s=localhost&p=/" + "x" * 1024, {}, "bad-page"),
        ],
    )
    async def test_a_drop_names_its_reason_and_is_no_error(
        self, client: httpx.AsyncClient, query: str, headers: dict[str, str], reason: str
    ) -> None:
        """204 also where JSON was asked for, the GIF for the pixel; the ledger has it, the count does not."""
        for path, accept in (("/count", "application/json"), ("/count", "*/*"), ("/count.gif", "*/*")):
            reply = await client.get(f"{path}?{query}", headers={"Accept": accept, **headers})
            assert reply.status_code == (200 if path == "/count.gif" else 204)
            assert reply.headers["x-footfall"] == f"dropped; reason={reason}"
        assert await views(client, None) == 0
        site = "(unknown)" if reason == "unknown-site" else "localhost"
        assert (await ledger(client))[f'footfall_views_dropped_total{{reason="{reason}",site="{site}"}}'] == 3

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("p=/", "s"),
            ("s=localhost", "p"),
            ("s=&p=/", "s"),
            ("s=localhost&p=", "p"),
            ("s=localhost&p=/&p=/b", "p"),
            ("s=localhost&p=/&e=short", "e"),
            ("s=localhost&p=/&e=with%20space%20in%20it", "e"),
            ("e=short&s=localhost&p=/", "e"),
            ("s=localhost&p=/&w=wide", "w"),
            ("s=localhost&p=/%ff", "query"),
            ("s=localhost&p=/" + "x" * 9000, "query"),
            ("&".join(f"a{i}=1" for i in range(40)), "query"),
        ],
    )
    async def test_a_malformed_parameter_is_named_with_its_mend(self, client: httpx.AsyncClient, query: str, field: str) -> None:
        """400 as problem+json; the detail begins with the parameter."""
        reply = await client.get(f"/count?{query}")
        assert reply.status_code == 400
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["status"] == 400
        assert reply.json()["title"] == "Bad Request"
        assert reply.json()["detail"].startswith(f"{field}: ")

    async def test_head_and_options_count_nothing(self, client: httpx.AsyncClient) -> None:
        """OPTIONS answers a browser's preflight; neither counts, other methods are refused."""
        for path in ("/count", "/count.gif"):
            assert (await client.head(path, params={"s": "localhost", "p": "/"})).status_code == 204
            preflight = await client.options(path, params={"s": "localhost", "p": "/"})
            assert preflight.status_code == 204
            assert preflight.headers["access-control-allow-origin"] == "*"
            assert (await client.put(path, params={"s": "localhost", "p": "/"})).status_code == 405
        assert await views(client) == 0


class TestReading:
    async def test_a_site_as_a_whole_is_the_sum_of_its_pages(self, client: httpx.AsyncClient) -> None:
        """Without a page, the count is the site's."""
        for page in ("/a", "/a", "/b"):
            await count(client, page)
        reply = (await client.get("/api/v1/sites/localhost/count")).json()
        assert (reply["page"], reply["views"], reply["today"], reply["total"]) == (None, 3, 3, 3)

    async def test_series_have_every_bucket_empty_ones_as_zero(self, client: httpx.AsyncClient, clock: Clock) -> None:
        """`from` is inclusive, `to` exclusive."""
        await count(client, "/a")
        clock.t += 2
        await count(client, "/a")
        start = int(START)
        reply = await client.get(
            "/api/v1/sites/localhost/series", params={"tier": "second", "from": start - 1, "to": start + 4, "page": "/a"}
        )
        expected = [[start - 1, 0], [start, 1], [start + 1, 0], [start + 2, 1], [start + 3, 0]]
        assert reply.json() == {"tier": "second", "from": start - 1, "to": start + 4, "points": expected}

    @pytest.mark.parametrize("tier", ["second", "minute", "hour", "day", "month"])
    async def test_a_series_ends_with_now_unless_told_otherwise(self, client: httpx.AsyncClient, tier: str) -> None:
        """Sixty buckets, the newest one holding the view just counted."""
        await count(client, "/a")
        points = (await client.get("/api/v1/sites/localhost/series", params={"tier": tier})).json()["points"]
        assert len(points) == 60
        assert points[-1][1] == 1
        assert sum(n for _, n in points) == 1

    async def test_pages_come_most_viewed_first_and_continue_at_the_cursor(self, client: httpx.AsyncClient) -> None:
        """Following the cursor gives each page once, for a window and for a period."""
        for page, times in (("/a", 1), ("/b", 3), ("/c", 2), ("/d", 1)):
            for _ in range(times):
                await count(client, page)
        for asked in ({"window": "60"}, {"period": "24h"}, {"period": "all"}):
            found: list[tuple[str, int]] = []
            cursor: dict[str, str] = {}
            while True:
                reply = (await client.get("/api/v1/sites/localhost/pages", params={**asked, "limit": "2", **cursor})).json()
                found += [(row["page"], row["views"]) for row in reply["pages"]]
                if reply["cursor"] is None:
                    break
                cursor = {"cursor": reply["cursor"]}
            assert found == [("/b", 3), ("/c", 2), ("/a", 1), ("/d", 1)]

    @pytest.mark.parametrize("what", ["count", "series", "pages"])
    @pytest.mark.parametrize("site", ["private.example", "nobody.example"])
    async def test_what_is_not_public_answers_401(self, client: httpx.AsyncClient, what: str, site: str) -> None:
        """And whether a site exists can't be told from the answer."""
        reply = await client.get(f"/api/v1/sites/{site}/{what}")
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"] == "Bearer"
        assert "FOOTFALL_PUBLIC_SITES" in reply.json()["detail"]

    @pytest.mark.parametrize(
        ("address", "field"),
        [
            ("count?window=0", "window"),
            ("count?window=541", "window"),
            ("count?window=1.5", "window"),
            ("count?page=x", "page"),
            ("series?tier=week", "tier"),
            ("series?tier=second&from=0&to=10001", "from"),
            ("series?from=5&to=4", "from"),
            ("series?from=now", "from"),
            ("series?to=99999999999999", "to"),
            ("pages?period=1y", "period"),
            ("pages?period=24h&window=60", "period"),
            ("pages?limit=1001", "limit"),
            ("pages?cursor=%21%21", "cursor"),
            ("pages?cursor=é", "cursor"),
        ],
    )
    async def test_a_malformed_question_is_named_with_its_mend(self, client: httpx.AsyncClient, address: str, field: str) -> None:
        """400 as problem+json; the detail begins with the parameter."""
        reply = await client.get(f"/api/v1/sites/localhost/{address}")
        assert reply.status_code == 400
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["detail"].startswith(f"{field}: ")

    async def test_reading_counts_nothing(self, client: httpx.AsyncClient) -> None:
        """No address but the counting ones ever makes a view."""
        for path in (
            "/api/v1/sites/localhost/count",
            "/api/v1/sites/localhost/series",
            "/api/v1/sites/localhost/pages",
            "/livez",
            "/readyz",
            "/ping",
            "/metrics",
            "/favicon.ico",
            "/static/footfall.css",
        ):
            await client.get(path)
        assert await views(client, None) == 0


class TestService:
    async def test_the_ledger_adds_up(self, client: httpx.AsyncClient) -> None:
        """What was received is counted, duplicate, dropped or failed, site by site."""
        for _ in range(3):
            await count(client, "/a")
        await count(client, "/a", e=EVENT_ID)
        await count(client, "/a", e=EVENT_ID)
        await client.get("/count", params={"s": "localhost", "p": "/"}, headers={"User-Agent": GOOGLEBOT})
        rows = await ledger(client)
        assert rows['footfall_views_received_total{site="localhost"}'] == 6
        assert rows['footfall_views_counted_total{site="localhost"}'] == 4
        assert rows['footfall_views_duplicate_total{site="localhost"}'] == 1
        assert rows['footfall_views_dropped_total{reason="bot",site="localhost"}'] == 1
        assert rows["footfall_views_pending"] == 0
        assert rows["footfall_store_commits_total"] == 5

    async def test_health_answers_and_touches_nothing_it_should_not(self, client: httpx.AsyncClient) -> None:
        """livez, readyz and ping are 200 on a healthy instance."""
        assert (await client.get("/livez")).text == "ok\n"
        assert (await client.get("/ping")).text == "pong\n"
        assert (await client.get("/readyz")).json() == {"status": "ready", "by": "store", "instance": "node-1"}

    async def test_metrics_are_for_this_machine_only(self, app: Front) -> None:
        """Another address, or a proxy's header, is refused."""
        for address, headers in (
            ("192.0.2.7", {}),
            ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}),
            ("::1", {"Forwarded": "for=x"}),
        ):
            transport = httpx.ASGITransport(app, client=(address, 50000))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
                assert (await client.get("/metrics")).status_code == 401

    async def test_an_unknown_address_is_a_clear_404(self, client: httpx.AsyncClient) -> None:
        """Errors of routing are problem+json as well."""
        reply = await client.get("/nothing/here")
        assert reply.status_code == 404
        assert reply.json()["title"] == "Not Found"
        assert (await client.post("/livez")).status_code == 405
        assert (await client.get("/static/../app.py")).status_code == 404

    async def test_static_files_may_be_kept_for_ever_under_their_hash(self, client: httpx.AsyncClient) -> None:
        """The page's style sheet comes from our own address, named by its content."""
        page = (await client.get("/", headers={"Accept": "text/html"})).text
        address = page.split('rel="stylesheet" href="', 1)[1].split('"', 1)[0]
        reply = await client.get(address)
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/css; charset=utf-8"
        assert "immutable" in reply.headers["cache-control"]
        assert (await client.get("/favicon.ico")).headers["content-type"] == "image/x-icon"
