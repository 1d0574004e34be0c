"""Each way in which someone comes to see a page is one view of it: proven one by one, against what the store has counted."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from tests.browser.conftest import Put, Tag
from tests.browser.hosting import Host
from tests.browser.visiting import Store, Visitor, tabs, undriven, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: A page says by this, to its host, that it has been loaded, and that it has been shown.
TELLS = """<script>
addEventListener("load", () => fetch("/told/loaded"));
document.addEventListener("visibilitychange", () => fetch("/told/" + document.visibilityState));
</script>"""


@pytest.fixture
def ears(host: Host) -> Host:
    """The host, ready to be told by pages what becomes of them."""
    for word in ("loaded", "visible", "hidden"):
        host.put(f"/told/{word}", "")
    host.asked.clear()
    return host


async def test_loading_a_page_is_a_view(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """A page that is loaded counts once, and again when it is loaded again."""
    await visitor.open(put("/a", tag()))
    await store.reaches(a=1)
    await visitor.page.reload()
    await visitor.settle()
    await store.reaches(a=2)
    assert len(visitor.sent) == 2


async def test_links_lead_to_views(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """Following a link to another page is a view of that page."""
    put("/b", tag())
    await visitor.open(put("/a", f"{tag()}<a href=/b>on</a>"))
    await visitor.page.click("a")
    await visitor.page.wait_for_url("**/b")
    await visitor.settle()
    await store.reaches(a=1, b=1)
    assert len(visitor.sent) == 2


@pytest.mark.parametrize("call", ["pushState", "replaceState"])
async def test_navigation_within_the_page_is_a_view(visitor: Visitor, store: Store, tag: Tag, put: Put, call: str) -> None:
    """To another path, pushState and replaceState are one view each, and what they return and do is as without the snippet."""
    await visitor.open(put("/a", tag()))
    result = await visitor.run(f"[history.{call}({{n: 1}}, '', '/b'), history.state.n, location.pathname]")
    assert result == [None, 1, "/b"]
    await visitor.settle()
    await store.reaches(a=1, b=1)
    assert len(visitor.sent) == 2


@pytest.mark.parametrize("call", ["pushState", "replaceState"])
async def test_staying_on_the_page_is_no_view(visitor: Visitor, store: Store, tag: Tag, put: Put, call: str) -> None:
    """The same path with another query, another fragment or another state is still the same view."""
    await visitor.open(put("/a", tag()))
    await visitor.run(f"for (const to of ['/a', '/a?q=1', '/a#part', '']) history.{call}({{}}, '', to)")
    await visitor.run("location.hash = 'other'")
    await visitor.run(f"history.{call}({{}}, '', '/last')")
    await visitor.settle()
    await store.reaches(a=1, last=1)
    assert len(visitor.sent) == 2


async def test_going_back_within_the_page_is_a_view(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """Back and forward among the states of a single-page application (popstate) are views of the pages they lead to."""
    await visitor.open(put("/a", tag()))
    await visitor.run("history.pushState({}, '', '/b')")
    for step, path in ((-1, "/a"), (1, "/b")):
        await visitor.run(f"history.go({step})")
        await visitor.page.wait_for_function(f"location.pathname === '{path}'")
    await visitor.settle()
    await store.reaches(a=2, b=2)
    assert len(visitor.sent) == 4


#: A router that takes each navigation within the site, as the Navigation API lets it.
TAKES_ALL = (
    "<script>navigation.addEventListener('navigate', event => event.canIntercept && event.intercept({handler() {}}))</script>"
)


async def test_navigation_that_is_intercepted_is_a_view(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """A link, a call, back, and a replaced page by the Navigation API are one view each, of a page that is never loaded."""
    await visitor.open(put("/a", f"{tag()}{TAKES_ALL}<a href=/b>on</a>"))
    await visitor.page.click("a")
    await visitor.page.wait_for_url("**/b")
    for call in ("navigate('/c')", "back()", "navigate('/d', {history: 'replace'})", "navigate('/d?q=1')", "reload()"):
        await visitor.run(f"navigation.{call}.finished.then(() => undefined)")
    await visitor.settle()
    await store.reaches(a=1, b=2, c=1, d=1)
    assert len(visitor.sent) == len(visitor.ids) == 5


@pytest.mark.parametrize("call", ["pushState", "replaceState"])
async def test_a_router_that_was_there_first_is_noticed(visitor: Visitor, store: Store, tag: Tag, put: Put, call: str) -> None:
    """It has kept the browser's own function, from before the snippet came."""
    await visitor.open(put("/a", f"<script>const go = history.{call}.bind(history)</script>{tag()}"))
    await visitor.run("go({}, '', '/b')")
    await visitor.settle()
    await store.reaches(a=1, b=1)
    assert len(visitor.sent) == 2


async def test_an_intercepted_state_is_one_view(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """Chromium fires popstate as well when a listener takes a pushState."""
    await visitor.open(put("/a", tag() + TAKES_ALL))
    await visitor.run("history.pushState({}, '', '/b')")
    await visitor.run("navigation.transition?.finished.then(() => undefined)")
    await visitor.settle()
    await store.reaches(a=1, b=1)
    assert len(visitor.sent) == 2


async def test_a_browser_without_the_navigation_api_is_served(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """As there were until 2025: states and "back" are views all the same."""
    await visitor.context.add_init_script("delete window.navigation")
    await visitor.open(put("/a", tag()))
    await visitor.run("history.pushState({}, '', '/b')")
    await visitor.run("history.back()")
    await visitor.page.wait_for_function("location.pathname === '/a'")
    await visitor.settle()
    await store.reaches(a=2, b=1)
    assert len(visitor.sent) == 3


async def test_routes_in_the_fragment_are_pages(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """With data-hash, #/route and #!/route are pages of their own below the page's path, and #heading is none."""
    await visitor.open(put("/app", tag("data-hash")))
    for fragment in ("#/inbox", "#/inbox", "#!/sent/7", "#heading"):
        await visitor.run(f"location.hash = '{fragment}'")
        await visitor.settle()
    await store.reaches(app=2, app__inbox=1, app__sent__7=1)
    assert len(visitor.sent) == 4


async def test_fragments_are_no_pages_by_themselves(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """Without data-hash a fragment never makes a view."""
    await visitor.open(put("/a", tag()))
    await visitor.run("location.hash = '#/inbox'")
    await visitor.run("history.pushState({}, '', '/last')")
    await visitor.settle()
    await store.reaches(a=1, last=1)
    assert len(visitor.sent) == 2


async def test_a_page_kept_for_back_is_seen_again(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """A page that returns from the back/forward cache, without being loaded, is a view."""
    other = put("/b", tag())
    await visitor.open(put("/a", tag()))
    await visitor.run("window.isKept = true")
    await visitor.open(other)
    await visitor.page.go_back(wait_until="commit")
    await visitor.page.wait_for_function("window.isKept")
    await store.reaches(a=2, b=1)
    await visitor.settle()
    assert len(visitor.sent) == len(visitor.ids) == 3


async def test_a_prerendered_page_is_seen_when_it_is_shown(store: Store, ears: Host, tag: Tag, put: Put) -> None:
    """A page that the browser renders before anyone asks for it is a view once it is shown, and not before."""
    put("/ahead", tag() + TELLS)
    ears.put("/go", "")
    rules = '<script type=speculationrules>{"prerender": [{"source": "list", "urls": ["/ahead"]}]}</script>'
    follow = """<script>
        const mayGo = async () => (await fetch("/go?" + Math.random())).headers.has("now");
        const go = async () => (await mayGo()) ? location = "/ahead" : setTimeout(go, 50);
        go();
    </script>"""
    with undriven(put("/start", rules + follow)):
        await until(lambda: "/told/loaded" in ears.asked, lambda: f"the page is prerendered; asked for {set(ears.asked)}")
        assert store.total() == 0
        assert "/told/visible" not in ears.asked
        ears.put("/go", "", now="yes")
        await until(lambda: "/told/visible" in ears.asked, "the page is shown")
        await store.reaches(ahead=1)
        assert ears.asked.count("/ahead") == 1
    assert store.ledger("dropped") == 0


async def test_a_hidden_tab_is_seen_when_it_is_first_shown(
    chromium: Browser, store: Store, ears: Host, tag: Tag, put: Put
) -> None:
    """A page opened in a background tab is a view when its tab is shown for the first time, and only then."""
    async with tabs(chromium) as window:
        front = await window.open(put("/front", "nothing"))
        hidden = await window.open(put("/hidden", tag() + TELLS), background=True)
        await until(lambda: "/told/loaded" in ears.asked, "the page is loaded")
        assert store.total() == 0
        await window.show(hidden)
        await store.reaches(hidden=1)
        await window.show(front)
        await until(lambda: "/told/hidden" in ears.asked, "the tab is hidden")
        await window.show(hidden)
        await until(lambda: ears.asked.count("/told/visible") == 2, "the tab is shown again")
        await store.reaches(hidden=1)


async def test_two_tags_count_once(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """A page with the tag in it twice, or with an element that is called footfall, has one view."""
    await visitor.open(put("/a", f"<p id=footfall></p>{tag()}{tag()}"))
    await visitor.run("history.pushState({}, '', '/b')")
    await visitor.settle()
    await store.reaches(a=1, b=1)
    assert len(visitor.sent) == 2


async def test_a_page_can_have_another_name(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """data-path is the page, whatever the address is."""
    await visitor.open(put("/a", tag('data-path="/shop/7"')))
    await visitor.run("history.pushState({}, '', '/b')")
    await visitor.settle()
    await store.reaches(shop__7=1)
    assert len(visitor.sent) == 1


async def test_views_can_be_made_by_hand(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """footfall.count counts each time it is called: the page that is open, or the one it is told."""
    await visitor.open(put("/a", tag()))
    await visitor.run("footfall.count({path: '/report.pdf', referrer: 'https://example.net/x?y', campaign: '?ref=mail&id=7'})")
    await visitor.run("footfall.count({path: '/report.pdf'})")
    await visitor.run("footfall.count()")
    await visitor.settle()
    await store.reaches(a=2, **{"report.pdf": 2})
    by_hand = visitor.sent[1].fields
    assert (by_hand["r"], by_hand["u"]) == ("https://example.net", "ref=mail")


async def test_two_of_a_kind_are_two_views(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """Pages seen in quick succession are all counted, each with an event id of its own."""
    await visitor.open(put("/a", tag()))
    await visitor.run("for (const to of ['/b', '/c', '/b']) history.pushState({}, '', to)")
    await visitor.settle()
    await store.reaches(a=1, b=2, c=1)
    assert len(visitor.sent) == len(visitor.ids) == 4
