"""No file names where packages come from: whoever installs Footfall chooses that, and the locks hold hashes instead."""

from __future__ import annotations

import re

import pytest

from tests.docs.tracked import ROOT, tracked_files

#: Hosts of package registries, in two parts, so that this file does not name them either.
HOSTS = [
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("npmjs", "org"),
    ("npmjs", "com"),
    ("yarnpkg", "com"),
    ("crates", "io"),
    ("deb.debian", "org"),
    ("archive.ubuntu", "com"),
    ("dl-cdn.alpinelinux", "org"),
]

#: A name of its own or behind a dot, whatever stands before; or an option or setting that says where to look.
NAMED = re.compile(
    "|".join(
        [
            *(rf"(?<![\w-]){re.escape(name)}\.{end}\b" for name, end in HOSTS),
            r"(?<!no-emit-)(?:extra-)?index[-_]url\s*[=:\s]\s*[\"']?\w+:",
        ]
    ),
    re.IGNORECASE,
)


def test_no_registry_is_named() -> None:
    """No tracked text names the host of a package registry, or an index to install from."""
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" not in content:
            lines = content.decode("utf-8", "replace").splitlines()
            found += [f"{path.relative_to(ROOT)}:{n}: {m[0]}" for n, line in enumerate(lines, 1) if (m := NAMED.search(line))]
    assert not found


@pytest.mark.parametrize("host", [".".join(parts) for parts in HOSTS])
def test_a_host_is_seen(host: str) -> None:
    """A registry is found as a host of its own, below another name, and in a URL."""
    assert all(
        NAMED.search(text)
        for text in (host, f"files.{host}", f"https://{host}/simple", f'"resolved": "https://registry.{host}/x"')
    )


@pytest.mark.parametrize("option", ["--{} https://example.com", "{} = 'https://example.com'", "{}=file:///simple"])
@pytest.mark.parametrize("name", ["index-url", "extra-index-url", "PIP_INDEX_URL"])
def test_an_index_is_seen(option: str, name: str) -> None:
    """An option or a setting that says where to install from is found; one that keeps it out of the locks is not."""
    assert NAMED.search(option.format(name))
    assert not NAMED.search("uv pip compile --no-emit-index-url --output-file requirements/run.txt")
