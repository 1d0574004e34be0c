"""The statements of the SQLite store, each beside what it does. Tables named by a tier are made here, once, for every tier.

Lists travel as JSON, read by `json_each`: one statement a table, whatever the number of rows.
"""

from __future__ import annotations

from typing import NamedTuple

from footfall.model import Tier
from footfall.stores.base import WRITER_MEMORY
from footfall.stores.retention import SITE_KIND

COARSE: tuple[Tier, ...] = tuple(tier for tier in Tier if tier is not Tier.SECOND)

#: Tiers that have traits; the rows of days and months are rolled up from those of hours.
TRAIT_TIERS = (Tier.HOUR, Tier.DAY, Tier.MONTH)

#: The bucket start of second t in a tier, in SQL; the same as `Tier.start`.
BUCKET = {
    Tier.SECOND: "t",
    Tier.MINUTE: "t - t % 60",
    Tier.HOUR: "t - t % 3600",
    Tier.DAY: "t - t % 86400",
    Tier.MONTH: "CAST(strftime('%s', t, 'unixepoch', 'start of month') AS INTEGER)",
    Tier.TOTAL: "0",
}

_ADD = "ON CONFLICT DO UPDATE SET n = n + excluded.n"

# A site and its pages. ?3 is the clock: a writer is remembered by the site's time, whenever its row is removed.

_REMEMBERED = f"(w.lasting OR w.at > max(s.newest, ?3) - {WRITER_MEMORY})"

_SITE = ("id", "newest", "rolled", "event_ids", "generation", "opened_day", "opened", "admitted", "folded", "hour", "line")

#: The site's rules, where it has a document: how long it is kept is told by them.
_RULES = f"(SELECT value FROM document WHERE kind = '{SITE_KIND}' AND key = %s.name)"

LOOK_SITE = f"SELECT {', '.join(_SITE)}, {_RULES % 'site'} FROM site WHERE name = ?"
OPEN_SITE = f"""SELECT {", ".join(f"s.{name}" for name in _SITE)}, {_RULES % "s"}, w.sequence, w.at, w.refused
    FROM site AS s LEFT JOIN writer AS w ON w.site = s.id AND w.name = ?2 AND {_REMEMBERED} WHERE s.name = ?1"""
MAKE_SITE = f"""INSERT INTO site (name, newest, rolled, hour) VALUES (?1, ?2, ?3 - ?3 % 60, ?3 - ?3 % 3600)
    RETURNING {", ".join(_SITE)}, {_RULES % "site"}"""
SAVE_SITE = f"UPDATE site SET {', '.join(f'{name} = ?{n}' for n, name in enumerate(_SITE, 1) if n > 1)} WHERE id = ?1"
SITES = "SELECT name FROM site WHERE name >= ' ' ORDER BY name"
OPEN_PAGES = """INSERT INTO page (site, path) SELECT ?, value FROM json_each(?) WHERE true
    ON CONFLICT DO UPDATE SET open = 1"""
ADD_PAGES = "INSERT INTO page (site, path, open) SELECT ?, value, 0 FROM json_each(?) WHERE true ON CONFLICT DO NOTHING"
PAGE_IDS = "SELECT path, id, open FROM page WHERE site = ? AND path IN (SELECT value FROM json_each(?))"
PATHS = "SELECT id, path FROM page WHERE path >= '/' AND id IN (SELECT value FROM json_each(?))"

# Writers and event ids

APPLIED = f"""SELECT w.sequence FROM site AS s JOIN writer AS w ON w.site = s.id AND w.name = ?2 AND {_REMEMBERED}
    WHERE s.name = ?1"""
REMEMBER_WRITER = """INSERT INTO writer (site, name, sequence, at, lasting, refused) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET sequence = excluded.sequence, at = excluded.at, lasting = excluded.lasting,
        refused = excluded.refused"""
FIND_DUPLICATES = """SELECT event.id FROM json_each(?2) CROSS JOIN event ON event.site = ?1 AND event.id = value
    WHERE +until > ?3 AND NOT (writer = ?4 AND sequence = ?5)"""
REMEMBER_EVENTS = """INSERT INTO event (site, id, until, writer, sequence) SELECT ?1, value, ?2, ?3, ?4 FROM json_each(?5)
    WHERE true ON CONFLICT DO NOTHING"""
DROP_EVENTS = "DELETE FROM event WHERE site = ? AND id IN (SELECT value FROM json_each(?))"
PING = "INSERT INTO ping (id, at) VALUES (1, ?) ON CONFLICT DO UPDATE SET at = excluded.at"

# Counting: {page id: views} into the current second; [[second, page id, views], …] into seconds or into `fold`

BUMP_NOW = f"INSERT INTO second (site, t, page, n) SELECT ?, ?, CAST(key AS INTEGER), value FROM json_each(?) WHERE true {_ADD}"
BUMP_SECONDS = f"""INSERT INTO second (site, t, page, n)
    SELECT ?, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?) WHERE true {_ADD}"""

# Rolling up: `fold` takes one site's views by (second or minute, page), and is unfolded into every coarser tier

MAKE_FOLD = (
    "CREATE TEMP TABLE IF NOT EXISTS fold (t INTEGER, page INTEGER, n INTEGER, PRIMARY KEY (t, page)) STRICT, WITHOUT ROWID"
)
FOLD_ROWS = "INSERT INTO fold (t, page, n) SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)"
FOLD_SECONDS = """INSERT INTO fold (t, page, n) SELECT t - t % 60 AS minute, page, sum(n) FROM second
    WHERE site = ? AND t >= ? AND t < ? GROUP BY minute, page ON CONFLICT DO UPDATE SET n = n + excluded.n"""
#: A month's beginning takes as long to find as a row to add: it is found once for each day.
_UNFOLD_MONTH = f"""WITH days (first, start) AS MATERIALIZED (
        SELECT first, {BUCKET[Tier.MONTH].replace("t,", "first,")} FROM (SELECT DISTINCT {BUCKET[Tier.DAY]} AS first FROM fold))
    INSERT INTO month (site, t, page, n) SELECT ?1, start, page, sum(n)
        FROM days CROSS JOIN fold ON fold.t >= first AND fold.t < first + 86400 WHERE start >= ?2 GROUP BY start, page {_ADD}"""
UNFOLD = {
    tier: _UNFOLD_MONTH
    if tier is Tier.MONTH
    else f"INSERT INTO {tier.value} (site, t, page, n) SELECT ?1, {BUCKET[tier]} AS start, page, sum(n) FROM fold"
    f" WHERE start >= ?2 GROUP BY start, page {_ADD}"
    for tier in COARSE
}

# Reading. A coarse tier's rows hold the seconds before site.rolled; the later ones are added from `second`.

COUNTS = """WITH RECURSIVE wanted (page) AS MATERIALIZED (SELECT value FROM json_each(:pages)),
    moment (t) AS (SELECT :first UNION ALL SELECT t + 1 FROM moment WHERE t < :last),
    part (page, views, today, total) AS (
        SELECT s.page, iif(s.t >= :window, n, 0), iif(s.t >= :rolled AND s.t >= :day, n, 0), iif(s.t >= :rolled, n, 0)
            FROM moment CROSS JOIN wanted CROSS JOIN second AS s ON s.site = :site AND s.t = moment.t AND s.page = wanted.page
        UNION ALL SELECT d.page, 0, d.n, 0 FROM wanted CROSS JOIN day AS d
            ON d.site = :site AND d.t = :day AND d.page = wanted.page
        UNION ALL SELECT a.page, 0, 0, a.n FROM wanted CROSS JOIN total AS a
            ON a.site = :site AND a.t = 0 AND a.page = wanted.page)
    SELECT page, sum(views), sum(today), sum(total) FROM part GROUP BY page"""
SERIES = {
    tier: f"SELECT t, n FROM json_each(?3) CROSS JOIN {tier.value} AS b ON b.site = ?1 AND b.t = value AND b.page = ?2"
    for tier in Tier
}
UNROLLED = """WITH RECURSIVE moment (t) AS (SELECT ?1 UNION ALL SELECT t + 1 FROM moment WHERE t < ?2)
    SELECT s.t, s.n FROM moment CROSS JOIN second AS s ON s.site = ?3 AND s.t = moment.t AND s.page = ?4"""


#: Named and in order, from (id, views): at most :limit of those behind (:views, :path).
_LISTED = """JOIN page USING (id) WHERE path >= '/' AND (:views IS NULL OR views < :views OR (views = :views AND path > :path))
        ORDER BY views DESC, path LIMIT :limit"""


def _top(tier: Tier) -> str:
    rows = "SELECT page, n FROM second WHERE site = :site AND t >= :start"
    if tier is not Tier.SECOND:
        rows = f"""SELECT page, n FROM {tier.value} WHERE site = :site AND t >= :start
            UNION ALL SELECT page, n FROM second WHERE site = :site AND t >= :rolled"""
    return f"""SELECT path, views FROM (SELECT page AS id, sum(n) AS views FROM ({rows}) WHERE page > 0 GROUP BY page)
        {_LISTED}"""


TOP = {tier: _top(tier) for tier in Tier}

# Looking for the most viewed pages of many rows; `sqlite_rankings.py` says how

#: The tiers that have an index, by bucket and views, of the rows with so many views or more.
BUSY = {Tier.DAY: 8, Tier.MONTH: 32}
BUCKETS = {
    tier: f"""WITH RECURSIVE bucket (t) AS (
        SELECT min(t) FROM {tier.value} WHERE site = ?1 AND t >= ?2
        UNION ALL SELECT (SELECT min(t) FROM {tier.value} WHERE site = ?1 AND t > bucket.t) FROM bucket WHERE t IS NOT NULL)
    SELECT t, coalesce((SELECT n FROM {tier.value} AS b WHERE b.site = ?1 AND b.t = bucket.t AND b.page = 0), 0)
        FROM bucket WHERE t IS NOT NULL"""
    for tier in COARSE
}
SUM_UNROLLED = "SELECT page, sum(n) FROM second WHERE site = ? AND t >= ? GROUP BY page"


def _busy(tier: Tier) -> tuple[str, str]:
    """The index of a tier, and the condition under which it has a row."""
    return (f"INDEXED BY {tier.value}_busy", f"AND b.n / {BUSY[tier]}") if tier in BUSY else ("", "")


def _exceeding(tier: Tier) -> str:
    """The pages that have :above views in :unrolled and in what their rows have above the numbers that stand with the buckets.

    Those are [[bucket start, views], …]: in :busy no row that is not in the index can be above them, in :others any row may.
    """

    def parts(buckets: str, index: str, condition: str) -> str:
        return f"""SELECT b.page, b.n - {buckets}.n FROM {buckets} CROSS JOIN {tier.value} AS b {index}
            ON b.site = :site AND b.t = {buckets}.t AND b.n > {buckets}.n AND b.page > 0 {condition}"""

    return f"""WITH busy (t, n) AS MATERIALIZED (SELECT value ->> 0, value ->> 1 FROM json_each(:busy)),
    others (t, n) AS MATERIALIZED (SELECT value ->> 0, value ->> 1 FROM json_each(:others)),
    part (page, n) AS (SELECT value ->> 0, value ->> 1 FROM json_each(:unrolled)
        UNION ALL {parts("busy", *_busy(tier))} UNION ALL {parts("others", "", "")})
    SELECT page FROM part GROUP BY page HAVING sum(n) >= :above"""


#: The pages of a bucket that have the most views, but no more than ?3.
LEADING = {
    tier: f"SELECT page, n FROM {tier.value} WHERE site = ?1 AND t = ?2 AND n <= ?3 AND page > 0 ORDER BY n DESC LIMIT ?4"
    for tier in COARSE
}
EXCEEDING = {tier: _exceeding(tier) for tier in COARSE}

#: Some pages' views in some buckets, with what they have beside: [[page, views], …].
TOP_OF = {
    tier: f"""WITH wanted (page, n) AS MATERIALIZED (SELECT value ->> 0, value ->> 1 FROM json_each(:pages)),
    part (page, n) AS (
        SELECT b.page, b.n FROM json_each(:starts) AS bucket CROSS JOIN wanted CROSS JOIN {tier.value} AS b
            ON b.site = :site AND b.t = bucket.value AND b.page = wanted.page
        UNION ALL SELECT page, n FROM wanted)
    SELECT path, views FROM (SELECT page AS id, sum(n) AS views FROM part GROUP BY page)
        {_LISTED}"""
    for tier in COARSE
}

# Forgetting, a piece at a time. What is being forgotten first gets a name that no site or page can have.

HIDE_SITE = "UPDATE site SET name = char(0) || id WHERE name = ?"
HIDDEN_SITES = "SELECT id FROM site WHERE name < ' '"
REMOVE_SITE = "DELETE FROM site WHERE id = ?"
HIDE_PAGE = "UPDATE page SET path = char(0) || id WHERE site = ? AND path = ?"
HIDDEN_PAGES = "SELECT id FROM page WHERE site = ? AND path < '/'"
REMOVE_PAGE = "DELETE FROM page WHERE id = ?"
NEW_GENERATION = "UPDATE site SET generation = generation + 1 WHERE id = ?"


class OfPage(NamedTuple):
    """Rows of a page in one table: in buckets of which tier; the first and last that the site (?1) has; how to delete those of
    a page (?2) in some buckets (?3); and of how many buckets in one piece.
    """

    tier: Tier
    extent: str
    delete: str
    at_once: int


def _of_page(table: str, tier: Tier, rows: str, at_once: int, width: int | None = None) -> OfPage:
    buckets = f"{table} WHERE site = ?1" + (f" AND width = {width}" if width else "")
    extent = f"SELECT (SELECT min(t) FROM {buckets}), (SELECT max(t) FROM {buckets})"
    return OfPage(tier, extent, f"DELETE FROM {buckets} AND t IN (SELECT value FROM json_each(?3)) AND {rows}", at_once)


_LINES = "line BETWEEN ?2 << 35 AND ?2 << 35 | 0x7ffffffff"
_PLACES = "place BETWEEN ?2 << 12 AND ?2 << 12 | 0xfff"
FORGET_PAGE = (
    *(_of_page(tier.value, tier, "page = ?2", 5000) for tier in Tier),
    *(_of_page(f"trait_{tier.value}", tier, _LINES, 50) for tier in (Tier.HOUR, Tier.DAY)),
    *(_of_page("register", tier, _PLACES, 10, tier.width) for tier in (Tier.HOUR, Tier.DAY)),
    *(_of_page("visitors", tier, "page = ?2", 5000, tier.width) for tier in (Tier.HOUR, Tier.DAY)),
)


def _some_of_site(table: str, *key: str) -> str:
    columns = ", ".join(key)
    return f"DELETE FROM {table} WHERE site = ?1 AND ({columns}) IN (SELECT {columns} FROM {table} WHERE site = ?1 LIMIT 5000)"


FORGET_SITE = (
    *(_some_of_site(tier.value, "t", "page") for tier in Tier),
    *(_some_of_site(f"trait_{tier.value}", "t", "line") for tier in TRAIT_TIERS),
    _some_of_site("register", "width", "t", "place"),
    _some_of_site("visitors", "width", "t", "page"),
    "DELETE FROM waiting WHERE id IN (SELECT id FROM waiting WHERE site = ?1 LIMIT 50)",
    "DELETE FROM trait WHERE id IN (SELECT id FROM trait WHERE site = ?1 LIMIT 5000)",
    "DELETE FROM page WHERE id IN (SELECT id FROM page WHERE site = ?1 LIMIT 5000)",
    _some_of_site("writer", "name"),
    _some_of_site("event", "id"),
)
