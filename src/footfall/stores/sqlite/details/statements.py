"""The statements of the SQLite store about details (traits and visitors), upkeep, dumps and documents.

As in `sqlite_sql.py`, lists and mappings travel as JSON, read by `json_each`; here they may be nested, bucket by bucket.
"""
# ruff: noqa: S608 - statements are composed from our own tier and table names only

from __future__ import annotations

from footfall.model import Tier
from footfall.stores.sqlite.statements import BUCKET, COARSE, TRAIT_TIERS

#: Lines below this one are the site's own: 1 << PAGE_BITS in `sqlite_site.py`, as are the other numbers of bits here.
_SITE_LINES = 1 << 35

_ADD = "ON CONFLICT DO UPDATE SET n = n + excluded.n"
_RAISE = "ON CONFLICT DO UPDATE SET rank = excluded.rank WHERE excluded.rank > rank"

# Names

DIMENSIONS = "SELECT name, id FROM dimension"
MAKE_DIMENSIONS = "INSERT INTO dimension (name) SELECT value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING"
TRAIT_IDS = """SELECT trait.dimension, trait.value, trait.id FROM json_each(?2) AS j CROSS JOIN trait
    ON trait.site = ?1 AND trait.dimension = j.value ->> 0 AND trait.value = j.value ->> 1"""
MAKE_TRAITS = """INSERT INTO trait (site, dimension, value) SELECT ?, value ->> 0, value ->> 1 FROM json_each(?) WHERE true
    ON CONFLICT DO NOTHING"""
TRAIT_NAMES = """SELECT trait.id, name, value FROM trait JOIN dimension ON dimension.id = dimension
    WHERE trait.id IN (SELECT value FROM json_each(?))"""

# What a day has already: all in its row of `trait_day`, and in the hours that are not rolled up to it

PLACES = f"""WITH RECURSIVE
    bucket (tier, t) AS MATERIALIZED (SELECT 'd', :day UNION ALL SELECT 'h', value FROM json_each(:hours)),
    found (tier, t, line) AS (
        SELECT tier, t, {_SITE_LINES - 1} FROM bucket
        UNION ALL SELECT tier, t, iif(tier = 'd',
            (SELECT min(d.line) FROM trait_day AS d
                WHERE d.site = :site AND d.t = found.t AND d.line >= ((found.line >> 35) + 1) << 35),
            (SELECT min(h.line) FROM trait_hour AS h
                WHERE h.site = :site AND h.t = found.t AND h.line >= ((found.line >> 35) + 1) << 35))
        FROM found WHERE line IS NOT NULL)
    SELECT DISTINCT line >> 35 FROM found WHERE line >= {_SITE_LINES}"""
SLOTS = """SELECT d.line FROM json_each(:slots) AS slot CROSS JOIN trait_day AS d ON d.site = :site AND d.t = :day
        AND d.line BETWEEN slot.value << 30 AND slot.value << 30 | 0x3fffffff
    UNION SELECT h.line FROM json_each(:hours) AS hour CROSS JOIN json_each(:slots) AS slot CROSS JOIN trait_hour AS h
        ON h.site = :site AND h.t = hour.value AND h.line BETWEEN slot.value << 30 AND slot.value << 30 | 0x3fffffff"""
VALUES = "SELECT id, value FROM trait WHERE id IN (SELECT value FROM json_each(?))"

# Details that wait, and what they become: {hour: {line: views}}, {width: {bucket start: {place: rank}}}

WAIT = """INSERT INTO waiting (site, weight, part, admitted)
    SELECT ?1, ?2 + coalesce((SELECT weight FROM waiting WHERE site = ?1 ORDER BY id DESC LIMIT 1), 0), ?3, ?4 RETURNING weight"""
WAIT_CUT = "INSERT INTO waiting (site, weight, part, admitted) VALUES (?, 0, ?, ?) RETURNING id"
TAKE_WAITING = "DELETE FROM waiting WHERE site = ? AND id = ? RETURNING part"
ADMITTED = "SELECT admitted, part FROM waiting WHERE site = ? AND admitted > ? ORDER BY id"
WAITING = "SELECT part FROM waiting WHERE site = ? ORDER BY id"
DROP_WAITING = "DELETE FROM waiting WHERE site = ?"
_LINES = """(SELECT CAST(h.key AS INTEGER) AS t, CAST(l.key AS INTEGER) AS line, l.value AS n
    FROM json_each(?2) AS h, json_each(h.value) AS l)"""
ADD_TO_HOURS = f"INSERT INTO trait_hour (site, t, line, n) SELECT ?1, t, line, n FROM {_LINES} WHERE true {_ADD}"
ADD_TO_DAYS = f"""INSERT INTO trait_day (site, t, line, n)
    SELECT ?1, {BUCKET[Tier.DAY]} AS start, line, sum(n) FROM {_LINES} GROUP BY start, line {_ADD}"""
ADD_TO_MONTHS = f"""INSERT INTO trait_month (site, t, line, n)
    SELECT ?1, {BUCKET[Tier.MONTH]} AS start, line, sum(n) FROM {_LINES} WHERE line < {_SITE_LINES} GROUP BY start, line {_ADD}"""
RAISE_RANKS = f"""INSERT INTO register (site, width, t, place, rank)
    SELECT ?1, CAST(w.key AS INTEGER), CAST(b.key AS INTEGER), CAST(p.key AS INTEGER), p.value
    FROM json_each(?2) AS w, json_each(w.value) AS b, json_each(b.value) AS p WHERE true {_RAISE}"""

# Rolling hours up: lines from ?3 to before ?4 of hour ?2

LINE_BEHIND = "SELECT line FROM trait_hour WHERE site = ? AND t = ? AND line >= ? ORDER BY line LIMIT 1 OFFSET ?"
NEXT_HOUR = "SELECT min(t) FROM trait_hour WHERE site = ? AND t > ?"
ROLL_HOUR = {
    tier: f"""INSERT INTO trait_{tier.value} (site, t, line, n) SELECT site, {BUCKET[tier]}, line, n FROM trait_hour
        WHERE site = ?1 AND t = ?2 AND line >= ?3 AND line < {of} {_ADD}"""
    for tier, of in ((Tier.DAY, "?4"), (Tier.MONTH, f"min(?4, {_SITE_LINES})"))
}

# Closing buckets of visitors

FIRST_REGISTERS = "SELECT min(t) FROM register WHERE site = ? AND width = ?"
REGISTERS = "SELECT place, rank FROM register WHERE site = ? AND width = ? AND t = ? ORDER BY place LIMIT ?"
ADD_VISITORS = f"""INSERT INTO visitors (site, width, t, page, n)
    SELECT ?, ?, ?, CAST(key AS INTEGER), value FROM json_each(?) WHERE true {_ADD}"""
HOUR_INTO_DAY = f"""INSERT INTO register (site, width, t, place, rank)
    SELECT site, 86400, t - t % 86400, place, rank FROM register
    WHERE site = ?1 AND width = 3600 AND t = ?2 AND place < ?3 {_RAISE}"""
DROP_REGISTERS = "DELETE FROM register WHERE site = ? AND width = ? AND t = ? AND place < ?"

# Expiry, at most ?3 rows at once: those of a site before ?2

EXPIRE = {
    tier: f"""DELETE FROM {tier.value} WHERE site = ?1 AND (t, page) IN
        (SELECT t, page FROM {tier.value} WHERE site = ?1 AND t < ?2 ORDER BY t, page LIMIT ?3)"""
    for tier in Tier
}
EXPIRE_TRAITS = {
    tier: f"""DELETE FROM trait_{tier.value} WHERE site = ?1 AND (t, line) IN
        (SELECT t, line FROM trait_{tier.value} WHERE site = ?1 AND t < ?2 ORDER BY t, line LIMIT ?3)"""
    for tier in TRAIT_TIERS
}
EXPIRE_VISITORS = {
    width: f"""DELETE FROM visitors WHERE site = ?1 AND width = {width} AND (t, page) IN
        (SELECT t, page FROM visitors WHERE site = ?1 AND width = {width} AND t < ?2 ORDER BY t, page LIMIT ?3)"""
    for width in (3600, 86400)
}
EXPIRE_PRESENCE = """DELETE FROM register WHERE site = ?1 AND width = 60 AND (t, place) IN
    (SELECT t, place FROM register WHERE site = ?1 AND width = 60 AND t < ?2 ORDER BY t, place LIMIT ?3)"""
EXPIRE_EVENTS = """DELETE FROM event WHERE site = ?1 AND id IN
    (SELECT id FROM event WHERE site = ?1 AND until < ?2 ORDER BY until LIMIT ?3)"""
EXPIRE_WRITERS = """DELETE FROM writer WHERE site = ?1 AND name IN
    (SELECT name FROM writer WHERE site = ?1 AND at < ?2 AND NOT lasting LIMIT ?3)"""

# Reading: what is not rolled up is added from `trait_hour`, what waits from JSON


def _breakdown(tier: Tier) -> str:
    rows = f"""SELECT line & 0x3fffffff AS id, n FROM json_each(:starts) CROSS JOIN trait_{tier.value} AS b
            ON b.site = :site AND b.t = value AND b.line BETWEEN :first AND :last
        UNION ALL SELECT CAST(key AS INTEGER), value FROM json_each(:waiting)"""
    if tier is not Tier.HOUR:
        rows += """ UNION ALL SELECT line & 0x3fffffff, n FROM json_each(:hours) CROSS JOIN trait_hour AS u
            ON u.site = :site AND u.t = value AND u.line BETWEEN :first AND :last
            WHERE u.t > :hour OR u.line >= :line"""
    return f"""SELECT value, views FROM (SELECT id, sum(n) AS views FROM ({rows}) GROUP BY id) JOIN trait USING (id)
        WHERE :views IS NULL OR views < :views OR (views = :views AND value > :value)
        ORDER BY views DESC, value LIMIT :limit"""


BREAKDOWN = {tier: _breakdown(tier) for tier in TRAIT_TIERS}
DIMENSION = "SELECT id FROM dimension WHERE name = ?"

CLOSED_VISITORS = """SELECT v.t, v.n FROM json_each(?4) CROSS JOIN visitors AS v
    ON v.site = ?1 AND v.width = ?2 AND v.page = ?3 AND v.t = value"""
#: How many registers of each bucket have which rank; `hours` are those that count to a day and are not in it yet.
OPEN_VISITORS = """SELECT t, rank, count(*) FROM (SELECT t, place, max(rank) AS rank FROM (
        SELECT r.t AS t, r.place AS place, r.rank AS rank FROM json_each(:starts) CROSS JOIN register AS r
            ON r.site = :site AND r.width = :width AND r.t = value AND r.place BETWEEN :first AND :last
        UNION ALL SELECT h.t - h.t % 86400, h.place, h.rank FROM json_each(:hours) CROSS JOIN register AS h
            ON h.site = :site AND h.width = 3600 AND h.t = value AND h.place BETWEEN :first AND :last
        UNION ALL SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:waiting)
    ) GROUP BY t, place) GROUP BY t, rank"""

PRESENT = "SELECT place, max(rank) FROM register WHERE site = ? AND width = 60 AND t >= ? GROUP BY place"

# Dumping: rows behind (?2, ?3), at most ?4

DUMP_VIEWS = {
    tier: f"""SELECT t, page, n FROM {tier.value} WHERE site = ?1 AND (t, page) > (?2, ?3)
        ORDER BY t, page LIMIT ?4"""
    for tier in Tier
}
UNROLLED_VIEWS = {
    tier: f"SELECT {BUCKET[tier]} AS start, page, sum(n) FROM second WHERE site = ? AND t >= ? GROUP BY start, page"
    for tier in COARSE
}
DUMP_TRAITS = {
    tier: f"""SELECT t, line, n FROM trait_{tier.value} WHERE site = ?1 AND (t, line) > (?2, ?3)
        ORDER BY t, line LIMIT ?4"""
    for tier in TRAIT_TIERS
}
UNROLLED_TRAITS = {
    tier: f"""SELECT {BUCKET[tier]} AS start, line, sum(n) FROM trait_hour WHERE site = ? AND (t, line) >= (?, ?)
        AND line < {of} GROUP BY start, line"""
    for tier, of in ((Tier.DAY, 1 << 62), (Tier.MONTH, _SITE_LINES))
}
DUMP_VISITORS = """SELECT t, page, n FROM visitors WHERE site = ?1 AND width = ?5 AND (t, page) > (?2, ?3)
    ORDER BY t, page LIMIT ?4"""
ALL_OPEN_VISITORS = """SELECT t, place >> 12 AS page, rank, count(*) FROM (SELECT t, place, max(rank) AS rank FROM (
        SELECT t, place, rank FROM register WHERE site = :site AND width = :width AND t >= :from
        UNION ALL SELECT t - t % :width, place, rank FROM register
            WHERE :width > 3600 AND site = :site AND width = 3600 AND t >= :from
        UNION ALL SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:waiting)
    ) GROUP BY t, place) GROUP BY t, page, rank"""
DUMP_WRITERS = "SELECT name, sequence FROM writer WHERE site = ? AND lasting AND name > ? ORDER BY name LIMIT ?"

# Loading: [[bucket start, page or line, number], …]

LOAD_VIEWS = {
    tier: f"""INSERT INTO {tier.value} (site, t, page, n) SELECT ?1, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2)
        WHERE true {_ADD}"""
    for tier in Tier
}
LOAD_TRAITS = {
    tier: f"""INSERT INTO trait_{tier.value} (site, t, line, n) SELECT ?1, value ->> 0, value ->> 1, value ->> 2
        FROM json_each(?2) WHERE true {_ADD}"""
    for tier in TRAIT_TIERS
}
LOAD_VISITORS = f"""INSERT INTO visitors (site, width, t, page, n) SELECT ?1, ?3, value ->> 0, value ->> 1, value ->> 2
    FROM json_each(?2) WHERE true {_ADD}"""

# Documents. ?3 or the last argument is the clock: what it has reached is gone.

DOCUMENT = "SELECT key, value, version, until FROM document WHERE kind = ?1 AND key = ?2 AND (until IS NULL OR until > ?3)"
DOCUMENTS = "SELECT key, value, version, until FROM document WHERE kind = ?1 AND (until IS NULL OR until > ?2) ORDER BY key"
NEXT_VERSION = """INSERT INTO document_version (kind, version) VALUES (?, 1)
    ON CONFLICT DO UPDATE SET version = version + 1 RETURNING version"""
PUT_DOCUMENT = "INSERT INTO document (kind, key, value, version, until) VALUES (?, ?, ?, ?, ?)"
REMOVE_DOCUMENT = "DELETE FROM document WHERE kind = ? AND key = ?"
HAS_EXPIRED_DOCUMENTS = "SELECT EXISTS (SELECT 1 FROM document WHERE until <= ?)"
KEPT_DOCUMENTS = """SELECT kind, key, value, version, until FROM document WHERE until IS NULL OR until > ?
    ORDER BY kind, key"""
REMOVE_DOCUMENTS = "DELETE FROM document"
