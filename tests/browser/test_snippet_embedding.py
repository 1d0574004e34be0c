"""The tag in the pages of others: under a content security policy, with its integrity checked, as a copy, without scripts."""

from __future__ import annotations

import base64
import hashlib
import re
import urllib.request

import pytest
from playwright.async_api import Browser

from tests.browser.conftest import Put, Tag
from tests.browser.hosting import Host
from tests.browser.visiting import Store, Visitor, visit
from tests.support.servers import FootfallServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEXT = "history.pushState({}, '', '/next')"


def fetched(server: FootfallServer, name: str) -> bytes:
    """A file of the snippet as the server has it."""
    with urllib.request.urlopen(f"{server.url}/{name}") as reply:
        content: bytes = reply.read()
    return content


def integrity(content: bytes, kind: str = "sha384") -> str:
    """What stands in the integrity attribute of a tag for this file."""
    return f"{kind}-{base64.b64encode(hashlib.new(kind, content).digest()).decode()}"


async def test_what_is_sent(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """A view says where it came from, how wide and in which language the browser is, and the campaign; and no query beside."""
    put("/b", tag())
    start = put("/a", "<a href='/b?utm_source=mail&token=secret&ref=x%20y#part'>on</a>", Referrer_Policy="unsafe-url")
    await visitor.page.goto(f"{start}?session=secret")
    await visitor.page.click("a")
    await visitor.page.wait_for_url("**/b?*")
    await visitor.settle()
    await visitor.run(NEXT)
    await visitor.settle()
    await store.reaches(b=1, next=1)
    first, second = [{**sending.fields, "e": ""} for sending in visitor.sent]
    origin = start.removesuffix("/a")
    common = {"s": store.site, "w": "1280", "l": "en-GB", "b": "", "e": ""}
    assert first == common | {"p": "/b", "r": origin, "u": "utm_source=mail&ref=x%20y"}
    assert second == common | {"p": "/next", "r": "", "u": ""}
    assert all(re.fullmatch(r"[\w-]{16,64}", id) for id in visitor.ids)


async def test_the_query_is_sent_where_the_tag_says_so(visitor: Visitor, tag: Tag, put: Put) -> None:
    """With data-query the server gets the query to choose from, and another query is another page."""
    await visitor.open(put("/a", tag("data-query")) + "?id=7&x=y")
    await visitor.run("history.pushState({}, '', '?id=8')")
    await visitor.settle()
    assert [sending.fields["p"] for sending in visitor.sent] == ["/a?id=7&x=y", "/a?id=8"]


@pytest.mark.parametrize(
    "policy",
    [
        "script-src 'self' {server}",
        "default-src 'none'; script-src {server}; connect-src {server}; style-src 'self'; img-src data:; base-uri 'none'",
        "script-src {server}; connect-src {server}; require-trusted-types-for 'script'",
        "script-src {server}; connect-src {server}; require-trusted-types-for 'script'; trusted-types 'none'",
    ],
    ids=["scripts", "everything", "trusted types", "no trusted types at all"],
)
async def test_a_strict_policy_is_kept(visitor: Visitor, store: Store, tag: Tag, put: Put, policy: str) -> None:
    """A page whose policy allows the server's scripts, and no inline ones, counts, and fills its counters."""
    csp = policy.format(server=store.server.url)
    await visitor.open(put("/a", f"{tag()}<b data-footfall=total></b>", Content_Security_Policy=csp))
    await visitor.page.locator("b", has_text="1").wait_for()
    await visitor.run("location.hash = 'footfall-off'")
    await visitor.page.get_by_role("status").wait_for()
    await store.reaches(a=1)
    await visitor.run("localStorage.clear()")


async def test_integrity_is_checked(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """A tag with the right integrity counts; with another one the script does not run."""
    known = integrity(fetched(store.server, "footfall.js"))
    await visitor.open(put("/a", tag(f'integrity="{known}" crossorigin')))
    await store.reaches(a=1)
    await visitor.page.goto(put("/b", tag(f'integrity="{integrity(b"another")}" crossorigin')))
    assert await visitor.run("'footfall' in window") is False
    await store.reaches(a=1)
    assert any("integrity" in trouble for trouble in visitor.troubles)
    visitor.troubles.clear()


async def test_integrity_holds_for_the_second_file(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """A page that checks integrity gets no script that it has not named; named in a tag of its own, the second file works."""
    known = integrity(fetched(store.server, "footfall.js"))
    also = integrity(fetched(store.server, "footfall-spans.js"), "sha256")
    first = tag(f'integrity="{known}" crossorigin')
    second = f'<script async src="{store.server.url}/footfall-spans.js" integrity="{also}" crossorigin></script>'
    scripts: list[str] = []
    visitor.page.on("request", lambda asked: scripts.append(asked.url) if asked.resource_type == "script" else None)
    await visitor.open(put("/a", f"{first}<b data-footfall=total>-</b>"))
    assert len(scripts) == 1
    await visitor.open(put("/b", f"{second}{first}<b data-footfall=total>-</b>"))
    await visitor.page.locator("b", has_text="1").wait_for()
    await store.reaches(a=1, b=1)


async def test_an_isolated_page_counts(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """A page that embeds only what allows it (Cross-Origin-Embedder-Policy) may embed the snippet."""
    headers = {"Cross_Origin_Embedder_Policy": "require-corp", "Cross_Origin_Opener_Policy": "same-origin"}
    await visitor.open(put("/a", tag(), **headers))
    assert await visitor.run("crossOriginIsolated")
    await store.reaches(a=1)


async def test_a_copy_of_the_snippet_counts(visitor: Visitor, store: Store, tag: Tag, host: Host, put: Put) -> None:
    """A copy on one's own host counts at the server that data-server names, and loads its second file from beside it."""
    for name in ("footfall.js", "footfall-spans.js"):
        host.put(f"/js/{name}", fetched(store.server, name), "text/javascript")
    host.asked.clear()
    copied = tag(f'data-server="{store.server.url}"', server=f"{host.origin}/js")
    await visitor.open(put("/a", f"{copied}<b data-footfall=total>-</b>"))
    await visitor.page.locator("b", has_text="1").wait_for()
    await store.reaches(a=1)
    assert host.asked == ["/a", "/js/footfall.js", "/js/footfall-spans.js"]


async def test_a_tag_may_be_a_module(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """Beside another counter's tag, with attributes and counters as any other."""
    other = '<script src="data:text/javascript," data-site="ABCDEF" defer></script>'
    await visitor.open(put("/a", f"{other}{tag('type=module data-path=/shop/7')}<b data-footfall=total></b>"))
    await visitor.page.locator("b", has_text="1").wait_for()
    await visitor.run(NEXT)
    await visitor.settle()
    await store.reaches(shop__7=1)
    assert len(visitor.sent) == 1


async def test_a_sandboxed_frame_counts(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """One that may run scripts and nothing else: no storage, no origin."""
    put("/framed", tag())
    await visitor.page.goto(put("/a", "<iframe sandbox=allow-scripts src=/framed></iframe>"))
    await store.reaches(framed=1)
    assert len(visitor.sent) == 1


async def test_a_tag_that_comes_late_counts(visitor: Visitor, store: Store, put: Put) -> None:
    """A tag that a script puts into the page, as tag managers do, counts the page that is open."""
    await visitor.page.goto(put("/a", "nothing yet"))
    await visitor.run(
        f"""() => {{
            const tag = document.createElement("script");
            tag.src = "{store.server.url}/footfall.js";
            tag.dataset.site = "{store.site}";
            document.head.append(tag);
        }}"""
    )
    await visitor.settle()
    await store.reaches(a=1)


async def test_a_pixel_counts_without_scripts(chromium: Browser, store: Store, tag: Tag, put: Put) -> None:
    """Where scripts are off, the picture in <noscript> counts once; where they are on, only the snippet does."""
    pixel = f'<noscript><img src="{store.server.url}/count.gif?s={store.site}&p=/a" alt=""></noscript>'
    url = put("/a", tag() + pixel)
    async with visit(chromium, java_script_enabled=False) as scriptless:
        await scriptless.page.goto(url)
        await store.reaches(a=1)
        assert [(sending.method, sending.kind) for sending in scriptless.sent] == [("GET", "image")]
        assert not scriptless.troubles
    async with visit(chromium) as ordinary:
        await ordinary.open(url)
        await store.reaches(a=2)
        assert len(ordinary.sent) == 1
