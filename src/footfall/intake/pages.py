"""What a page is: the one spelling of a path under which its views are counted, and which paths are no pages at all.

`normalise` is total and idempotent: any text gives a page or BadPage, and a page gives itself. Whether a path is an asset or a
feed is told from the path and query alone, for logs and middleware. Nothing here knows requests, replies or sites.
"""

from __future__ import annotations

import re
import unicodedata
from mimetypes import MimeTypes
from urllib.parse import quote, unquote

from footfall.model import MAX_PAGE_BYTES
from footfall.rules import Rules

#: A path that is its own page already, in 0.3 microseconds. No segment begins with a dot here, so none is a dot segment.
_PLAIN = re.compile(r"/(?:[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9_~!$&'()*+,;=:@.-]*+(?:/|\Z))*+")

#: Longer paths are not looked at, so that none costs more than a millisecond: a page's bytes, all encoded, and some to spare.
MAX_PATH_LENGTH = 4 * MAX_PAGE_BYTES

_ENCODED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")

#: What stays encoded: the characters that mean something in a path, and bytes that are not UTF-8 (as "surrogateescape" has them).
_KEPT = {ord(character): f"%{ord(character):02X}" for character in "/%?#"} | {
    0xDC00 + byte: f"%{byte:02X}" for byte in range(0x80, 0x100)
}

_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

#: Control characters, line separators, surrogates, and what changes the direction of the text around it (Unicode's Bidi_Control).
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_ENDS_IN_DOTS = re.compile(r"/\.\.?\Z")


class BadPage(ValueError):
    """A text that can't be a page; `reason` is one line that says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def normalise(raw: str) -> str:
    """The page that a path names: begins with "/", 1 to MAX_PAGE_BYTES bytes of UTF-8. Raises BadPage and nothing else.

    Query and fragment are cut off. Percent-encoded bytes become the characters they are in UTF-8, except "/", "%", "?" and "#",
    and bytes that are not UTF-8: those stay encoded, in upper case. A "%" that encodes nothing becomes "%25". Repeated slashes
    become one, then dot segments are resolved (RFC 3986, section 5.2.4), and the text is brought into Unicode's form NFC. Upper
    and lower case make a difference, and so does a slash at the end. A path may have MAX_PATH_LENGTH characters before all that.
    """
    if len(raw) <= MAX_PAGE_BYTES and _PLAIN.fullmatch(raw):
        return raw
    path = raw.partition("#")[0].partition("?")[0]
    if not path.startswith("/"):
        raise BadPage('a page begins with "/"')
    if len(path) > MAX_PATH_LENGTH:
        raise BadPage(f"a path has at most {MAX_PATH_LENGTH} characters; this one has {len(path)}")
    if _FORBIDDEN.search(path):
        raise BadPage("a page has no control, line-breaking or direction-changing characters")
    path = _ENCODED.sub(_decoded, _STRAY_PERCENT.sub("%25", path))
    if _FORBIDDEN.search(path):
        raise BadPage("a page has no control, line-breaking or direction-changing characters, encoded ones neither")
    path = _resolved(path)
    _check_length(path)  # before what follows, too, whose cost can grow with the square of the length
    page = unicodedata.normalize("NFC", path)
    if _STRAY_PERCENT.search(page):
        raise BadPage("a combining mark follows a percent-encoded byte that is not UTF-8")
    _check_length(page)
    return page


def is_page(text: str) -> bool:
    """Whether a text has the form of a page, perhaps with parameters of a query. Whether it is normalised is not looked at."""
    return text.startswith("/") and len(text) <= MAX_PAGE_BYTES >= len(text.encode()) and not _FORBIDDEN.search(text)


#: What a server shows for the folder it lies in.
_INDEX = re.compile(r"(?<=/)(?:index|default)\.(?:html?|php|aspx?|jsp)\Z", re.IGNORECASE)

_SEPARATOR = re.compile("[&;]")


def page_of(raw: str, rules: Rules) -> str:
    """The page of a site that a path names, perhaps with a query: `normalise`, and then the site's own rules.

    Of a query only the parameters stay that the site keeps, in the order of its rules. Raises BadPage. A page gives itself.
    """
    page = normalise(raw)
    if rules.merges_index and "." in page[-5:]:
        page = _INDEX.sub("", page)
    if rules.merges_slash and page[-1] == "/" and len(page) > 1:
        page = page[:-1]
    if not rules.kept_parameters or "?" not in raw:
        return page
    query = raw.partition("#")[0].partition("?")[2]
    pairs = [pair.partition("=") for pair in _SEPARATOR.split(query)]
    fields = {name: value for name, _, value in reversed(pairs)}
    kept = [f"{name}={_plain(fields[name])}" for name in rules.kept_parameters if fields.get(name)]
    page = f"{page}?{'&'.join(kept)}" if kept else page
    _check_length(page)
    return page


def _plain(value: str) -> str:
    """A parameter's value in one spelling: what can stand unencoded in a query does, all else is encoded."""
    return quote(unquote(value.replace("+", " ")), safe="/:@!$'()*,~")


def _decoded(run: re.Match[str]) -> str:
    return bytes.fromhex(run[0].replace("%", "")).decode("utf-8", "surrogateescape").translate(_KEPT)


def _resolved(path: str) -> str:
    """The path without repeated slashes and dot segments."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    page = "/" + "/".join(kept)
    ends_in_slash = path.endswith("/") or _ENDS_IN_DOTS.search(path) is not None
    return page + "/" if kept and ends_in_slash else page


def _check_length(path: str) -> None:
    size = len(path.encode())
    if size > MAX_PAGE_BYTES:
        raise BadPage(f"a page has at most {MAX_PAGE_BYTES} bytes of UTF-8; this one has {size}")


#: Extensions of what is shown as a page, or made by a program, whatever type the file itself would have.
_PAGE_EXTENSIONS = """
    html htm xhtml xht shtml md markdown php php3 php4 php5 phtml asp aspx jsp jspx do action cgi fcgi pl cfm
"""

#: Extensions of assets that Python's table lacks, or lacks in some of its versions.
_MORE_ASSETS = """
    ttf otf woff woff2 eot map cur jar war apk dmg iso img msi deb rpm whl gem egg 7z rar tgz lz zst crx xpi torrent
    log conf ini cfg env yaml yml toml sql db sqlite pcap lua java cpp cc hpp go rs rb ts scss less
    ogg oga ogv m4a m4v mkv flac opus wma wmv flv webp avif jxl apng psd svgz
    docx xlsx pptx odt ods odp epub mobi djvu rtf rss atom rdf webmanifest appcache
"""


def _asset_extensions() -> frozenset[str]:
    """The extensions of Python's own table of types (not the machine's, which differs), plus what it lacks, less the pages'."""
    table = MimeTypes()
    known = {extension for types in table.types_map for extension, kind in types.items() if "html" not in kind}
    known.update(table.encodings_map, table.suffix_map)
    assets = {extension.lower().removeprefix(".") for extension in known} | set(_MORE_ASSETS.split())
    return frozenset(assets - set(_PAGE_EXTENSIONS.split()))


_ASSETS = _asset_extensions()

#: The last segment of a feed's path: "/feed", "/blog/rss/", "/comments/feed/atom", "/feed.php". A tag or an article of that name
#: ("/tags/rss", "/wiki/Atom") is a page.
_FEED_PATH = re.compile(
    r"(?<!/tag)(?<!/tags)(?<!/wiki)/(?:feeds?|rss2?|rss20|atom|rdf)(?:\.[a-z]+)?/?\Z|/feeds/posts/", re.IGNORECASE
)

#: A parameter that asks for a feed: "flav=rss20" (Blosxom), "feed=atom" (WordPress), "format=feed" (Joomla), "alt=rss" (Blogger).
_FEED_QUERY = re.compile(
    r"(?:\A|[&;])(?:flav|feed|format|type|alt|output|mode|view)=(?:feed|rss|rss2|rss20|rss_200|rss092|atom|atom10|rdf)(?:[&;]|\Z)",
    re.IGNORECASE,
)


def is_asset(page: str) -> bool:
    """The page is a file other than a page: an image, a style sheet, a script, a font, a download. Its extension says so."""
    _, dot, extension = page[page.rfind("/") + 1 :].rpartition(".")
    return dot != "" and extension.lower() in _ASSETS


def is_feed(page: str, query: str) -> bool:
    """The page is a news feed (RSS, Atom), which readers fetch by the hour. `query` is what stands behind "?", without it."""
    return _FEED_PATH.search(page) is not None or (query != "" and _FEED_QUERY.search(query) is not None)
