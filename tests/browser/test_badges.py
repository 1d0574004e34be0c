"""Badges in a real browser: a picture in a page of another site, as wide as was measured, and counting where it is asked to."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.async_api import expect

from footfall.web.badges.drawing import COLOURS, STYLES, Badge, draw
from footfall.web.badges.text_width import text_width
from tests.browser.conftest import Put
from tests.browser.visiting import DEADLINE, Store, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

expect.set_options(timeout=DEADLINE * 1000)

WORDS = (("views", "1,284"), ("views past minute", "37"), ("Besucher für Ähnliches", "9,999,999"), ("reads (all)", "1.2k"))

#: What a text takes without being told how long it is to be, and how long it was told to be.
MEASURE = """() => [...document.querySelectorAll("text")].map((text) => {
  const told = Number(text.getAttribute("textLength"));
  text.removeAttribute("textLength");
  return [text.textContent, told, text.getComputedTextLength()];
})"""


async def test_texts_are_as_long_as_was_measured(visitor: Visitor, put: Put) -> None:
    """In the font that the table was measured from, to 2 % (the browser moves some pairs of letters closer) and half a pixel."""
    badges = [draw(Badge(*words, COLOURS["hand"], COLOURS["ink"], style)) for style in STYLES for words in WORDS]
    await visitor.page.goto(put("/badges", f'<style>text{{font-family:"DejaVu Sans"}}</style>{"".join(badges)}'))
    measured = await visitor.page.evaluate(MEASURE)
    assert len(measured) >= 2 * len(badges)
    for text, told, length in measured:
        assert length == pytest.approx(told, rel=0.02, abs=0.5), text
    assert text_width("0", 11) == pytest.approx(7.0, abs=0.01)


async def test_a_picture_in_a_page_counts_and_shows_its_number(visitor: Visitor, store: Store, put: Put) -> None:
    """Each time the page is opened; the picture has the size that it says."""
    source = f"{store.server.url}/counter/{store.site}.svg?page=/readme&hit=1&style=plastic"
    url = put("/readme", f'<img src="{source.replace("&", "&amp;")}" alt="views">')
    for _ in range(2):
        await visitor.page.goto(url)
        await expect(visitor.page.locator("img")).to_have_js_property("naturalHeight", 18)
    await store.reaches(readme=2)


async def test_a_badge_keeps_the_policy_that_it_is_sent_with(visitor: Visitor, store: Store) -> None:
    """Opened by itself it may load nothing and has no inline style; whatever its label is, it is drawn as it was written."""
    for label in ('a&b<c">', "📦🚀", "ラベル"):
        await visitor.page.goto(f"{store.server.url}/counter/{store.site}.svg?label={quote(label)}")
        assert label in await visitor.run("[...document.querySelectorAll('text')].map(text => text.textContent)")
        assert await visitor.run("document.querySelector('[style], style') === null")


async def test_a_wrong_parameter_is_seen_in_the_page(visitor: Visitor, store: Store, put: Put) -> None:
    """A browser shows the picture that comes with the error."""
    await visitor.page.goto(put("/readme", f'<img src="{store.server.url}/counter/{store.site}.svg?color=redd" alt="views">'))
    await expect(visitor.page.locator("img")).to_have_js_property("naturalHeight", 20)
    assert [("400" in trouble) for trouble in visitor.troubles] == [True]
    visitor.troubles.clear()
