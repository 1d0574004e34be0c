"""Who may see the metrics: this machine, and whoever has the token."""

from __future__ import annotations

import httpx
import pytest

from footfall.settings import load_settings
from footfall.web.app import make_app

TOKEN = "0123456789abcdef"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
ELSEWHERE = "203.0.113.5"


async def status(client: str, headers: dict[str, str], token: str | None = TOKEN) -> int:
    """The status with which /metrics answers a client of that address."""
    front = make_app(load_settings({"store": "memory://", "metrics_token": token}, {}, None), "web-1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(front, client=(client, 50000)), base_url="http://x") as asking:
        reply = await asking.get("/metrics", headers=headers)
    assert ("footfall_views_pending" in reply.text) == (reply.status_code == 200)
    assert TOKEN not in reply.text
    return reply.status_code


@pytest.mark.parametrize(
    ("client", "headers", "expected"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("127.0.0.1", {"X-Forwarded-For": ELSEWHERE}, 401),
        ("127.0.0.1", {"X-Forwarded-For": ELSEWHERE} | RIGHT, 200),
        (ELSEWHERE, {}, 401),
        (ELSEWHERE, RIGHT, 200),
        (ELSEWHERE, {"Authorization": f"Bearer {TOKEN}x"}, 401),
        (ELSEWHERE, {"Authorization": TOKEN}, 401),
        (ELSEWHERE, {"Authorization": "Bearer "}, 401),
        (ELSEWHERE, {"Authorization": "Bearer None"}, 401),
    ],
)
async def test_who_sees_the_metrics(client: str, headers: dict[str, str], expected: int) -> None:
    """The token counts wherever a request comes from; without it only the machine itself does, and no proxy on it."""
    assert await status(client, headers) == expected


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}, RIGHT])
async def test_without_a_token_set_none_is_right(headers: dict[str, str]) -> None:
    """Not even an empty one."""
    assert await status(ELSEWHERE, headers, token=None) == 401
    assert await status("127.0.0.1", headers, token=None) == 200
