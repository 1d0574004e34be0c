"""The names of the keys that Python knows: a site's own key, from which lua/site.lua makes all its others, and what is no site's.

All carry a hash tag, the part in braces, which alone decides on which node of a cluster a key lies.
"""

from __future__ import annotations

from redis.crc import key_slot

#: How many hash slots a cluster has (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
SLOTS = 16_384

_ESCAPES = str.maketrans({"%": "%25", "{": "%7B", "}": "%7D"})


def site_key(site: str) -> bytes:
    """The key of a site. Braces in its name are escaped, so that the hash tag is the whole name, and no other's."""
    return f"footfall:{{{site.translate(_ESCAPES)}}}".encode()


def ping_key(tag: int) -> bytes:
    """The key of a ping. No site's keys have this name; `tag` is chosen so that it lies where it shall."""
    return f"footfall:{{{tag}}}:ping".encode()


def sites_key() -> bytes:
    """The key of the list of sites. Its tag is no site's: in theirs two digits follow each %."""
    return b"footfall:{%sites}"


def documents_key(kind: str) -> bytes:
    """The key of all documents of a kind; its tag is no site's either."""
    return f"footfall:{{%documents:{kind.translate(_ESCAPES)}}}".encode()


def slot_of(key: bytes) -> int:
    """The slot of a key in a cluster."""
    return int(key_slot(key))
