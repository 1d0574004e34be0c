"""Where a visit came from: the host of its referrer, the campaign its address names, and the channel both make of it.

The table of hosts is small on purpose: the search engines, networks, mail and assistants that send most visits. The lists that
packages bring were last kept years ago. A host that stands in none is a link. Nothing here knows requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

SEARCH, SOCIAL, MAIL, ASSISTANT, LINK, PAID, CAMPAIGN, DIRECT = (
    "search",
    "social",
    "mail",
    "assistant",
    "link",
    "paid",
    "campaign",
    "direct",
)

#: Names that stand before any public suffix: www.google.co.uk, uk.search.yahoo.com.
_SEARCH_NAMES = frozenset(
    "google bing yahoo yandex baidu duckduckgo ecosia qwant startpage kagi seznam naver daum sogou".split()  # noqa: SIM905 - a list
)

_HOSTS: Mapping[str, str] = {
    host: channel
    for channel, hosts in {
        SEARCH: """search.brave.com search.yahoo.co.jp search.marginalia.nu mojeek.com presearch.com swisscows.com you.com
            search.aol.com metager.org searx.be lite.duckduckgo.com html.duckduckgo.com coccoc.com com.microsoft.bing
            com.google.android.apps.searchlite""",
        SOCIAL: """facebook.com l.facebook.com fb.me instagram.com l.instagram.com threads.net t.co twitter.com x.com
            linkedin.com lnkd.in reddit.com old.reddit.com youtube.com youtu.be pinterest.com tumblr.com vk.com ok.ru weibo.com
            bsky.app mastodon.social mastodon.online fosstodon.org hachyderm.io news.ycombinator.com lobste.rs tiktok.com
            discord.com slack.com app.slack.com telegram.org t.me web.telegram.org web.whatsapp.com wa.me quora.com xing.com
            stackoverflow.com github.com gitlab.com medium.com dev.to producthunt.com twitch.tv snapchat.com zhihu.com
            douban.com bilibili.com habr.com teams.microsoft.com com.google.android.youtube com.whatsapp org.telegram.messenger
            com.zhiliaoapp.musically com.vkontakte.android com.sina.weibo com.tencent.mm""",
        MAIL: """mail.google.com mail.yahoo.com outlook.live.com outlook.office.com outlook.office365.com mail.proton.me
            mail.aol.com mail.ru e.mail.ru mail.163.com mail.qq.com app.fastmail.com webmail.gmx.net navigator.web.de
            mail.zoho.com app.hey.com com.google.android.gm com.microsoft.office.outlook
            com.yahoo.mobile.client.android.mail""",
        ASSISTANT: """chatgpt.com chat.openai.com perplexity.ai gemini.google.com copilot.microsoft.com claude.ai
            chat.mistral.ai chat.deepseek.com grok.com poe.com meta.ai phind.com com.openai.chatgpt
            ai.perplexity.app.android""",
    }.items()
    for host in hosts.split()
}

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_APP = re.compile(r"android-app://([a-zA-Z0-9._]{1,200})", re.ASCII)
_MEDIA: Mapping[str, str] = {
    **dict.fromkeys(("email", "e-mail", "mail", "newsletter"), MAIL),
    **dict.fromkeys(("cpc", "ppc", "cpm", "paid", "paidsearch", "paid-search", "paidsocial", "display", "banner", "ads"), PAID),
    **dict.fromkeys(("social", "social-network", "social-media", "sm"), SOCIAL),
    "organic": SEARCH,
}

#: What a campaign's name is shortened to, in characters.
MAX_CAMPAIGN_LENGTH = 100

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def host_of(referrer: str) -> str:
    """The host of an http(s) referrer in lower case, without "www." and port; an Android app's name; "" for anything else."""
    scheme, separator, rest = referrer[:2048].partition("://")
    if separator and scheme.lower() in ("http", "https"):
        host = rest.partition("/")[0].partition("?")[0].partition("#")[0].rpartition("@")[2].partition(":")[0].lower()
        host = host.rstrip(".").removeprefix("www.")
        if not host.isascii():
            try:
                host = host.encode("idna").decode("ascii")
            except UnicodeError:
                return ""
        return host if _HOST.fullmatch(host) else ""
    app = _APP.match(referrer)
    return app[1].lower() if app else ""


def channel_of(host: str) -> str:
    """The channel of a referrer's host."""
    if not host:
        return DIRECT
    known = _HOSTS.get(host)
    if known:
        return known
    names = host.split(".")
    if len(names) > 1 and not _SEARCH_NAMES.isdisjoint(names[max(0, len(names) - 3) : -1]):
        return SEARCH
    # An app is named by its maker's host, from its end: com.facebook.katana.
    return _channel_below(names) or _channel_below(["", *reversed(names)]) or LINK


def _channel_below(names: Sequence[str]) -> str | None:
    """The channel of a host that these names are below."""
    for first in range(1, len(names) - 1):
        known = _HOSTS.get(".".join(names[first:]))
        if known:
            return known
    return None


def campaign_of(query: str) -> tuple[str, str]:
    """The campaign that a page's query string names, and its channel; ("", "") for none.

    Its name is `utm_campaign`, else `utm_source`, `ref`, `source` or `via`. `utm_medium` tells the channel.
    """
    if "utm_" not in query and "ref=" not in query and "source=" not in query and "via=" not in query:
        return "", ""
    try:
        fields = dict(parse_qsl(query[:2048], max_num_fields=50))
    except ValueError:
        return "", ""
    for name in ("utm_campaign", "utm_source", "ref", "source", "via"):
        value = _UNPRINTABLE.sub("", fields.get(name, "")).strip()[:MAX_CAMPAIGN_LENGTH]
        if value:
            return value, _MEDIA.get(fields.get("utm_medium", "").strip().lower(), CAMPAIGN)
    return "", ""
