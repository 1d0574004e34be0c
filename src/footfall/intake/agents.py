"""What a user agent is: a program that reads pages by itself, a command-line client, an image proxy, or (the rest) a browser.

Programs are told by the list of the package crawler-user-agents, and by one sign they give themselves: the address of whoever
answers for them. An agent that was not seen before costs about 2 microseconds where it is a browser's, and one pass over at most
512 characters whatever it holds; verdicts are remembered in a bounded cache. It knows no requests, sites or settings.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
import re2

#: What stands behind this many characters of a user agent is not looked at.
MAX_AGENT_LENGTH = 512

#: So many verdicts are remembered. With agents of the greatest length that is about 5 MB.
CACHED_AGENTS = 8192

#: Bytes RE2 may use for the automaton it builds while it matches. Browsers' agents need less than 1 MB of it. Agents put together
#: from pieces of the list, to need as many states as can be, took 0.37 ms each with 8 MiB and 0.12 ms with 64 MiB.
MATCHER_BYTES = 32 << 20

#: Robots name a page about themselves behind a plus sign, or an e-mail address; browsers don't. For those that no list knows.
CONTACT = r"\+ ?https?:\/\/|[A-Za-z0-9_.+-]+@[A-Za-z0-9-]+\.[A-Za-z]"

#: Programs that a person starts by hand in a terminal: "curl/8.5.0", "Wget/1.21.4", "HTTPie/3.2.2".
_COMMAND_LINE = re.compile(r"(?:curl|wget2?|httpie)/", re.IGNORECASE)

#: They fetch a picture for a person who looks at it: "github-camo (6fbb09f2)", "… (via ggpht.com GoogleImageProxy)".
_IMAGE_PROXY = re.compile(r"^github-camo\b|\bGoogleImageProxy\b")


class _Listed(msgspec.Struct):
    """What is read of an entry of the list."""

    pattern: str


def listed_patterns() -> list[str]:
    """The patterns of the package's list, from its file: importing the package takes 45 ms, and keeps 2 MB of all the rest."""
    package = importlib.util.find_spec("crawleruseragents")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("the package crawler-user-agents is not installed")
    text = (Path(package.submodule_search_locations[0]) / "crawler-user-agents.json").read_bytes()
    return [entry.pattern for entry in msgspec.json.decode(text, type=list[_Listed])]


class Agents:
    """Tells user agents apart. Build one (20 ms) and pass it to whoever asks.

    `patterns` are regular expressions that are searched in a user agent, case-sensitively; the package's list unless said
    otherwise. Those that RE2 can't take (look-around, back references) are in `slow_patterns` and are tried one by one with `re`;
    of the list there are none.
    """

    def __init__(self, patterns: Iterable[str] | None = None) -> None:
        slow = []
        options = re2.Options()
        options.max_mem = MATCHER_BYTES
        options.never_capture = True
        options.log_errors = False
        together = re2.Set.SearchSet(options)
        for pattern in (*(listed_patterns() if patterns is None else patterns), CONTACT):
            try:
                together.Add(pattern)
            except re2.error:
                slow.append(re.compile(pattern))
        together.Compile()
        self.slow_patterns = tuple(pattern.pattern for pattern in slow)

        def matches(user_agent: str) -> bool:
            if together.Match(user_agent.encode("utf-8", "replace")):
                return True
            return any(pattern.search(user_agent) for pattern in slow)

        self._matches = functools.lru_cache(CACHED_AGENTS)(matches)

    def is_bot(self, user_agent: str) -> bool:
        """The agent is a program's: a crawler, a feed reader, a monitor, a library, a command-line client, an image proxy.

        An empty agent is no bot: it says nothing.
        """
        return self._matches(user_agent if len(user_agent) <= MAX_AGENT_LENGTH else user_agent[:MAX_AGENT_LENGTH])

    def is_command_line(self, user_agent: str) -> bool:
        """The agent is curl's, Wget's or HTTPie's; each is a bot, too."""
        return _COMMAND_LINE.match(user_agent) is not None

    def is_image_proxy(self, user_agent: str) -> bool:
        """The agent is that of GitHub's or Google's image proxy; each is a bot, too."""
        return _IMAGE_PROXY.search(user_agent, 0, MAX_AGENT_LENGTH) is not None
