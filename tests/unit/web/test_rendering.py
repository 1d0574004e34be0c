"""The pages as the server draws them: complete, escaped, self-contained, readable."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib import resources

import msgspec
import pytest

from footfall.web.rendering import SHOWN_CHARACTERS, HomeView, Renderer, past, shown

#: 12:54:41 UTC on 24 November 2025.
AT = 1763988881
SCRIPT = "<script>alert(1)</script>"
OVERRIDE = "\u202e"
VIEW = HomeView(
    site="example.com",
    page="/",
    window=60,
    at=AT,
    seconds=[(AT - 59 + i, 20 if i < 48 else 27) for i in range(60)],
    views=1284,
    today=48210,
    total=3918442,
    instance="node-2",
    pages=[("/", 1284), ("/pricing", 321)],
    site_views=1605,
)
STATIC = resources.files("footfall.web") / "static"


class Page(HTMLParser):
    """The elements of a page, each with its attributes, and its text."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer()


def home(renderer: Renderer, **changes: object) -> Page:
    return Page(renderer.render_home(msgspec.structs.replace(VIEW, **changes)))


def test_home_says_the_number(renderer: Renderer) -> None:
    """The number stands in the dial, its label, the title and the description; the facts and the clock stand beside it."""
    page = home(renderer)
    dial = next(svg for svg in page.all("svg") if svg.get("role") == "img")
    assert dial["aria-label"] == "1,284 views in the past minute"
    description = next(meta for meta in page.all("meta") if meta.get("name") == "description")
    assert "1,284 views in the past minute" in (description["content"] or "")
    for fact in ("1,284 views in the past minute · example.com", "48,210", "3,918,442", "node-2", "12:54:41", "24 November 2025"):
        assert fact in page.text


@pytest.mark.parametrize(
    ("views", "window", "label"),
    [
        (0, 60, "0 views in the past minute"),
        (1, 60, "1 view in the past minute"),
        (2, 300, "2 views in the past 5 minutes"),
        (98_765_432, 90, "98,765,432 views in the past 90 seconds"),
    ],
)
def test_label_agrees_with_number_and_window(renderer: Renderer, views: int, window: int, label: str) -> None:
    """The label is right in singular and plural, and for any window."""
    assert f'aria-label="{label}"' in renderer.render_home(msgspec.structs.replace(VIEW, views=views, window=window)).decode()


def test_windows_have_names() -> None:
    """Whole minutes are called so."""
    names = [past(window) for window in (1, 59, 60, 61, 120, 540)]
    assert names == ["past second", "past 59 seconds", "past minute", "past 61 seconds", "past 2 minutes", "past 9 minutes"]


def test_sixty_bars_and_their_text_agree(renderer: Renderer) -> None:
    """The dial has sixty bars, one of them the newest; the list of seconds for those who don't see them sums to the number."""
    html = renderer.render_home(VIEW).decode()
    bars = re.search(r'<g class="bars">(.*?)</g>', html, re.DOTALL)
    assert bars is not None
    assert bars[1].count("<rect") == 60
    assert re.findall(r'class="newest"[^>]* transform="rotate\((\d+)\)"', bars[1]) == [str(41 * 6 + 180)]
    seconds = re.findall(r"<li><time>([\d:]+)</time> <b>([\d,]+)</b></li>", html)
    assert sum(int(views) for _, views in seconds) == 1284
    assert seconds[0] == ("12:54:41", "27")
    assert seconds[-1] == ("12:53:42", "20")
    assert "The busiest second was 12:54:41 UTC with 27 views; the newest has 27 views; 0 of 60 had none." in html


def test_no_view_at_all_is_a_page_too(renderer: Renderer) -> None:
    """A site without views has its page, which says so."""
    page = home(renderer, seconds=[(AT - i, 0) for i in range(60)], views=0, today=0, total=0, pages=[], site_views=0)
    assert "No second had a view." in page.text
    assert "No page of this site was viewed in the past minute." in page.text


def test_top_pages_have_bars_in_proportion(renderer: Renderer) -> None:
    """Pages stand in the order given, at most eight, the first with a whole bar and the others in proportion."""
    html = renderer.render_home(VIEW).decode()
    assert re.findall(r'<rect width="([\d.]+)" height="1"/>', html) == ["100.0", "25.0"]
    page = home(renderer, pages=[(f"/page-{i}", 20 - i) for i in range(10)])
    assert "/page-7" in page.text
    assert "/page-8" not in page.text


def test_names_from_outside_are_escaped(renderer: Renderer) -> None:
    """No name becomes an element, an attribute or a change of writing direction, wherever it stands."""
    hostile = f"/{SCRIPT}\"'><img src=x onerror=alert(1)>{OVERRIDE}\x00\x1b[31m\u2028"
    changes = {"site": hostile, "page": hostile, "instance": hostile, "pages": [(hostile, 1)]}
    clean, page = home(renderer), home(renderer, **changes, origin='https://a"onload="x')
    assert [name for name, _ in page.elements if name != "tr"].count("img") == 0
    assert not page.all("script")
    assert {name for name, _ in page.elements} == {name for name, _ in clean.elements}
    assert {key for _, attributes in page.elements for key in attributes} == {
        key for _, attributes in clean.elements for key in attributes
    }
    assert page.text.count(SCRIPT) == 6  # title, site, page, instance, page list, tag
    for sign in (OVERRIDE, "\x00", "\x1b", "\u2028"):
        assert sign not in page.text
    assert "%E2%80%AE%00%1B[31m%E2%80%A8" in page.text


def test_unencodable_names_do_not_break_the_page(renderer: Renderer) -> None:
    """A lone surrogate, which UTF-8 can't hold, is replaced."""
    assert home(renderer, page="/\ud800", site="\ud800").text


def test_shown_keeps_what_can_be_read() -> None:
    """Letters of any script stay as they are; long names are cut with an ellipsis; what can't be seen is percent-encoded."""
    assert shown("/straße/مرحبا/日本 1") == "/straße/مرحبا/日本 1"
    assert shown("a\u200bb\u2066c\n") == "a%E2%80%8Bb%E2%81%A6c%0A"
    assert shown("x" * SHOWN_CHARACTERS) == "x" * SHOWN_CHARACTERS
    assert shown("x" * 1000) == "x" * SHOWN_CHARACTERS + "…"
    assert shown("\u200b" * 1000) == "%E2%80%8B" * (SHOWN_CHARACTERS // 9) + "…"


def test_examples_carry_site_and_origin_safely(renderer: Renderer) -> None:
    """The examples name the server's origin and the site, percent-encoded; where it is not known, an example."""
    page = home(renderer, origin="http://localhost:8000", site="a&b'$(x).com")
    assert 'curl -A my-script "http://localhost:8000/count?s=a%26b%27%24%28x%29.com&p=/page"' in page.text
    assert '<img src="http://localhost:8000/count.gif?s=a%26b%27%24%28x%29.com&p=/page" alt="">' in page.text
    assert '<script async src="http://localhost:8000/footfall.js" data-site="a&b\'$(x).com"></script>' in page.text
    assert 'curl -A my-script "https://counter.example/count?' in home(renderer, origin="").text


@pytest.mark.parametrize("kind", ["home", "unavailable"])
def test_pages_fit_the_strictest_policy(renderer: Renderer, kind: str) -> None:
    """No script, inline style or handler, and nothing fetched from elsewhere: the pages work under default-src 'none'."""
    page = Page(renderer.render_home(VIEW) if kind == "home" else renderer.render_unavailable("node-2"))
    assert not [name for name, _ in page.elements if name in {"script", "style", "iframe", "object", "base", "form"}]
    for _, attributes in page.elements:
        assert not [key for key in attributes if key == "style" or key.startswith("on")]
        for key in ("src", "href", "xlink:href", "action", "data"):
            target = attributes.get(key)
            assert target is None or target == "" or re.fullmatch(r"/(?!/)\S*", target), target


@pytest.mark.parametrize("kind", ["home", "unavailable"])
def test_pages_have_their_landmarks(renderer: Renderer, kind: str) -> None:
    """Each page has a language, one h1, one main, a header and a footer, unique ids, and labels that exist."""
    page = Page(renderer.render_home(VIEW) if kind == "home" else renderer.render_unavailable("node-2"))
    assert page.all("html") == [{"lang": "en"}]
    for tag in ("h1", "main", "header", "footer", "title"):
        assert len(page.all(tag)) == 1, tag
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for key in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(key) in {None, *ids}
    for svg in page.all("svg"):
        assert svg.get("role") == "img" or svg.get("aria-hidden") == "true"


def test_home_stays_small(renderer: Renderer) -> None:
    """The page is under 15 KB as a rule, and under 30 KB with the longest and most hostile names there can be."""
    assert len(renderer.render_home(VIEW)) < 15_000
    worst = msgspec.structs.replace(
        VIEW,
        site='"' * 253,
        page="/" + '"' * 1023,
        window=540,
        seconds=[(AT - 539 + i, 10**9) for i in range(540)],
        views=10**12,
        instance="\u202e" * 500,
        pages=[(f"/{i}" + "\u202e" * 340, 10**9) for i in range(8)],
    )
    assert len(renderer.render_home(worst)) < 30_000


def test_unavailable_page_says_what_to_do(renderer: Renderer) -> None:
    """The page for a store that is away says that nothing is lost, what to do, and who says so; the name is escaped."""
    page = Page(renderer.render_unavailable(SCRIPT))
    assert "The count can't be read at the moment." in page.text
    assert "No counted view is lost. Try again in a few seconds." in page.text
    assert SCRIPT in page.text
    assert not page.all("script")


def test_static_urls_change_with_the_content(renderer: Renderer) -> None:
    """A static file's URL names the file and 12 hex digits of its content's SHA-256; a file we lack is an error."""
    assert re.fullmatch(r"/static/footfall\.css\?v=[0-9a-f]{12}", renderer.static_url("footfall.css"))
    assert renderer.static_url("footfall.css") in renderer.render_home(VIEW).decode()
    with pytest.raises(KeyError):
        renderer.static_url("missing.css")


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_reach_contrast(scheme: int) -> None:
    """Text is at 4.5:1 or more on the paper in both schemes, the hand at 3:1 (WCAG 2.2, AA)."""
    css = (STATIC / "footfall.css").read_text()
    blocks = re.findall(r":root \{([^}]*--paper[^}]*)\}", css)
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", blocks[scheme]))

    def contrast(colour: str) -> float:
        lighter, darker = sorted((luminance(colours[colour]), luminance(colours["paper"])), reverse=True)
        return (lighter + 0.05) / (darker + 0.05)

    assert contrast("ink") >= 7
    assert contrast("soft") >= 4.5
    assert contrast("hand") >= 3


def test_styles_ask_for_nothing() -> None:
    """The style sheet and the icon fetch nothing, and are small."""
    for name in ("footfall.css", "favicon.svg"):
        text = (STATIC / name).read_text()
        assert "url(" not in text
        assert "@import" not in text
        assert len(text) < 12_000


def test_icon_holds_two_sizes() -> None:
    """favicon.ico holds PNG frames of 16 and 32 pixels."""
    icon = (STATIC / "favicon.ico").read_bytes()
    assert icon[:6] == b"\0\0\1\0\2\0"
    assert [icon[6], icon[22]] == [16, 32]
    assert icon.count(b"\x89PNG\r\n\x1a\n") == 2
