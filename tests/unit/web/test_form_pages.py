"""The forms of our own pages: sites are added, rules changed, tokens and links created. They take only what is theirs."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.integration.in_process import InProcess, running
from tests.unit.web.pages_given import PASSWORD, PRIVATE, PRIVATE_PAGE, PUBLIC, app, count, filled, log_in, text_of

__all__ = ["app"]


async def test_settings_change_what_was_changed_and_nothing_else(app: InProcess) -> None:
    """Rules that stay as the settings have them go on following the settings."""
    await log_in(app)
    page = (await app.client.get(f"{PRIVATE_PAGE}/settings")).text
    form = filled(page) | {"visibility": "counter", "origins": "self\n*.example.net"}
    reply = await app.client.post(f"{PRIVATE_PAGE}/settings", data=form)
    assert reply.status_code == 303
    assert app.parts.core.registry.sites.document(PRIVATE)[0] == {"visibility": "counter", "origins": ["self", "*.example.net"]}


async def test_how_long_a_site_is_kept_is_written_as_a_duration(app: InProcess) -> None:
    """It is shown so too; what is none, or shorter than that of a finer tier, is refused beside its field."""
    await log_in(app)
    page = (await app.client.get(f"{PRIVATE_PAGE}/settings")).text
    assert filled(page)["retention_day"] == "730d"
    for written, said in (
        ("soon", "Write a duration such as 48h"),
        ("1d", "Write 90d or longer: days must be kept at least as long as hours."),
    ):
        reply = await app.client.post(f"{PRIVATE_PAGE}/settings", data=filled(page) | {"retention_day": written})
        assert reply.status_code == 400
        assert said in text_of(reply)
        assert re.search(r'name="retention_day"[^>]* aria-invalid="true"', reply.text)
        assert re.search(r'<p class="trouble" id="trouble-retention_day">Write ', reply.text)
        assert '<details class="advanced" open>' in reply.text
    reply = await app.client.post(f"{PRIVATE_PAGE}/settings", data=filled(page) | {"retention_day": " 100D "})
    assert reply.status_code == 303
    assert app.parts.core.registry.sites.document(PRIVATE)[0] == {"retention_day": 100 * 86_400}
    assert filled((await app.client.get(f"{PRIVATE_PAGE}/settings")).text)["retention_day"] == "100d"


async def test_a_wrong_rule_is_named_and_what_was_written_stays(app: InProcess) -> None:
    """Nothing is saved."""
    await log_in(app)
    form = filled((await app.client.get(f"{PRIVATE_PAGE}/settings")).text) | {"excluded_addresses": "no address"}
    reply = await app.client.post(f"{PRIVATE_PAGE}/settings", data=form)
    assert reply.status_code == 400
    assert re.search(r'<p class="trouble" id="trouble-excluded_addresses">Write addresses or networks', reply.text)
    assert (
        'aria-describedby="trouble-excluded_addresses about-excluded_addresses" aria-invalid="true">no address</textarea>'
        in reply.text
    )
    assert '<a href="#excluded_addresses">IP addresses not to count</a>' in reply.text
    assert '<details class="advanced">' in reply.text
    assert app.parts.core.registry.sites.document(PRIVATE) == ({}, 0)


async def test_two_who_change_rules_at_once_are_told(app: InProcess) -> None:
    """The second form was made of older rules."""
    await log_in(app)
    form = filled((await app.client.get(f"{PRIVATE_PAGE}/settings")).text) | {"visitor_rate": "60"}
    await app.parts.core.registry.sites.save(PRIVATE, {"site_rate": 5})
    reply = await app.client.post(f"{PRIVATE_PAGE}/settings", data=form)
    assert reply.status_code == 409
    assert app.parts.core.registry.sites.document(PRIVATE)[0] == {"site_rate": 5}


@pytest.mark.parametrize("path", ["/sites", f"{PRIVATE_PAGE}/settings", "/access"])
@pytest.mark.parametrize("given", [{}, {"proof": "wrong"}])
async def test_a_form_without_its_proof_is_not_taken(app: InProcess, path: str, given: dict[str, str]) -> None:
    """Another site can't send one for who is logged in."""
    await log_in(app)
    form = given | {"site": "new.example", "do": "make-token", "name": "x", "action": "admin"}
    assert (await app.client.post(path, data=form)).status_code == 403
    assert app.parts.core.registry.sites.get("new.example") is None
    assert not await app.parts.credentials.tokens()


async def test_a_form_from_another_origin_is_not_taken(app: InProcess) -> None:
    """Even with the right proof."""
    proof = await log_in(app)
    headers = {"sec-fetch-site": "cross-site"}
    assert (await app.client.post("/sites", data={"proof": proof, "site": "new.example"}, headers=headers)).status_code == 403


async def test_a_site_is_added_and_removed_with_its_history(app: InProcess) -> None:
    """It takes its name to remove it."""
    proof = await log_in(app)
    reply = await app.client.post("/sites", data={"proof": proof, "site": "New.example"})
    assert reply.headers["location"] == "/sites/new.example"
    assert "Waiting for the first view" in (await app.client.get("/sites/new.example")).text
    await count(app, "new.example", a=1)
    address = "/sites/new.example/settings"
    assert (await app.client.post(address, data={"proof": proof, "do": "remove", "confirm": "x"})).status_code == 400
    assert (await app.client.post(address, data={"proof": proof, "do": "remove", "confirm": "new.example"})).status_code == 303
    assert app.parts.core.registry.sites.get("new.example") is None
    assert "new.example" not in await app.parts.store.sites()


async def test_a_declared_site_can_not_be_removed(app: InProcess) -> None:
    """FOOTFALL_SITES wins."""
    proof = await log_in(app)
    form = {"proof": proof, "do": "remove", "confirm": PRIVATE}
    assert (await app.client.post(f"{PRIVATE_PAGE}/settings", data=form)).status_code == 409


async def test_a_page_is_forgotten(app: InProcess) -> None:
    """Its history is gone."""
    await count(app, PRIVATE, a=1)
    proof = await log_in(app)
    await app.client.post(f"{PRIVATE_PAGE}/settings", data={"proof": proof, "do": "forget", "page": "/a"})
    assert (await app.parts.store.counts(PRIVATE, ["/a"], 60)).pages["/a"].total == 0


async def test_a_tokens_secret_is_shown_once_and_it_can_be_revoked(app: InProcess) -> None:
    """It works until then."""
    proof = await log_in(app)
    form = {"proof": proof, "do": "make-token", "name": "a program", "action": "read", "site": PRIVATE}
    made = await app.client.post("/access", data=form)
    secret = re.search(r'id="secret">(ff_[^<]+)<', made.text)
    assert secret
    listed = (await app.client.get("/access")).text
    assert secret[1] not in listed
    assert f"read:{PRIVATE}" in listed
    assert (await app.parts.credentials.token(secret[1])).may_read(PRIVATE)
    (id,) = await app.parts.credentials.tokens()
    await app.client.post("/access", data={"proof": proof, "do": "end-token", "id": id})
    assert not (await app.parts.credentials.token(secret[1])).may_read(PRIVATE)


async def test_a_share_link_is_made_and_taken_back(app: InProcess) -> None:
    """Whoever has it sees the site, until then."""
    proof = await log_in(app)
    form = {"proof": proof, "do": "make-share", "name": "a friend", "site": PRIVATE, "days": "7"}
    made = await app.client.post("/access", data=form)
    link = re.search(r'id="secret">([^<]+)<', made.text)
    assert link
    app.client.cookies.clear()
    opened = await app.client.get(link[1], follow_redirects=True)
    assert opened.url.path == PRIVATE_PAGE
    app.client.cookies.clear()
    proof = await log_in(app)
    (id,) = await app.parts.credentials.shares(PRIVATE)
    await app.client.post("/access", data={"proof": proof, "do": "end-share", "id": id})
    app.client.cookies.clear()
    assert (await app.client.get(link[1])).status_code == 404


@pytest.mark.parametrize(
    ("written", "status", "said"),
    [
        ("exa mple.com", 400, "Write a host name such as example.com or localhost:8080: letters, digits, hyphens and dots."),
        ("ftp://example.com", 400, "Write a host name such as example.com, or an address that begins with https:// or http://."),
        ("", 400, "Write a host name such as example.com or localhost:8080: letters, digits, hyphens and dots."),
        (f"https://{PRIVATE.upper()}/path", 409, f"{PRIVATE} already exists."),
    ],
)
async def test_what_can_not_be_added_is_said_beside_the_field(app: InProcess, written: str, status: int, said: str) -> None:
    """On the same page, in full, and what was written stays."""
    proof = await log_in(app)
    reply = await app.client.post("/sites", data={"proof": proof, "site": written})
    assert reply.status_code == status
    (field,) = re.findall(r'<input id="site"[^>]*>', reply.text)
    assert f' value="{written}"' in field
    assert 'aria-invalid="true"' in field
    assert 'aria-describedby="site-trouble ' in field
    assert said in text_of(reply)
    assert 'class="card"' in reply.text
    assert app.parts.core.registry.sites.names() == [PUBLIC, PRIVATE]


async def test_a_pasted_address_is_added_by_its_host(app: InProcess) -> None:
    """And what is left of it is the heading of the page that follows."""
    proof = await log_in(app)
    form = {"proof": proof, "site": " https://B\u00fccher.Example:443/path?q#x "}
    reply = await app.client.post("/sites", data=form, follow_redirects=True)
    assert reply.url.path == "/sites/xn--bcher-kva.example"
    assert '<h1><bdi dir="ltr">xn--bcher-kva.example</bdi></h1>' in reply.text


async def test_the_first_site_takes_the_place_of_the_one_that_nobody_asked_for() -> None:
    """The form comes first until then."""
    async with running(sites=None, public_sites=None, admin_password=PASSWORD) as app:
        proof = await log_in(app)
        page = (await app.client.get("/sites")).text
        assert page.index("Add your first site") < page.index('id="cards"')
        kept = await app.client.post("/sites/localhost/settings", data={"proof": proof, "do": "remove", "confirm": "localhost"})
        assert kept.status_code == 409
        assert "localhost is there by default: it goes when the first site is created." in text_of(kept)
        await app.client.post("/sites", data={"proof": proof, "site": "example.com"})
        page = (await app.client.get("/sites")).text
    assert re.findall(r'class="card" href="([^"]+)"', page) == ["/sites/example.com"]
    assert page.index("Add a site") > page.index('id="cards"')


async def test_every_field_that_can_not_be_read_is_marked(app: InProcess) -> None:
    """All at once, each beside its field; the summary leads to them."""
    await log_in(app)
    form = filled((await app.client.get(f"{PRIVATE_PAGE}/settings")).text)
    reply = await app.client.post(f"{PRIVATE_PAGE}/settings", data=form | {"site_rate": "many", "retention_hour": "long"})
    assert re.findall(r'<li><a href="#(\w+)">', reply.text) == ["site_rate", "retention_hour"]
    assert re.findall(r'<p class="trouble" id="trouble-(\w+)">', reply.text) == ["site_rate", "retention_hour"]
    assert 'value="many"' in reply.text
    assert 'value="long"' in reply.text


async def test_every_rule_has_words_and_a_group(app: InProcess) -> None:
    """Nothing is called by its name in the code."""
    await log_in(app)
    page = (await app.client.get(f"{PRIVATE_PAGE}/settings")).text
    groups = re.findall(r"<legend>([^<]+)</legend>", page)
    assert groups == ["Visibility", "What is counted", "Privacy", "Pages", "Limits", "How long data is kept"]
    assert page.index('<details class="advanced">') < page.index("<legend>Pages</legend>")


@pytest.mark.parametrize(("page", "said"), [("/never", "No views of /never were counted."), ("a", "Write the page's path")])
async def test_a_page_that_never_was_is_not_called_deleted(app: InProcess, page: str, said: str) -> None:
    """The path is kept for correction."""
    await count(app, PRIVATE, a=1)
    proof = await log_in(app)
    reply = await app.client.post(f"{PRIVATE_PAGE}/settings", data={"proof": proof, "do": "forget", "page": page})
    assert reply.status_code == 400
    assert said in text_of(reply)
    assert f'value="{page}"' in reply.text


async def test_a_token_that_can_not_be_created_keeps_what_was_written(app: InProcess) -> None:
    """The error is beside the field at fault."""
    proof = await log_in(app)
    form = {"proof": proof, "do": "make-token", "name": "x" * 101, "action": "write", "site": PRIVATE}
    reply = await app.client.post("/access", data=form)
    assert reply.status_code == 400
    (field,) = re.findall(r'<input id="token-name"[^>]*>', reply.text)
    assert f' value="{"x" * 101}"' in field
    assert 'aria-invalid="true" aria-describedby="make-token-trouble"' in field
    assert '<option value="write" selected>' in reply.text
    assert f"<option selected>{PRIVATE}</option>" in reply.text


async def test_what_is_to_be_copied_has_a_button_that_scripts_show(app: InProcess) -> None:
    """Tags, tokens and links. Without scripts it is text that one click selects."""
    proof = await log_in(app)
    share = {"proof": proof, "do": "make-share", "name": "x", "site": PRIVATE, "days": "7"}
    token = {"proof": proof, "do": "make-token", "name": "x", "action": "admin"}
    replies: list[httpx.Response] = [
        await app.client.get(PRIVATE_PAGE),
        await app.client.get(f"{PRIVATE_PAGE}/settings"),
        await app.client.post("/access", data=share),
        await app.client.post("/access", data=token),
    ]
    for reply in replies:
        (button,) = re.findall(r'<button class="copy"[^>]*>', reply.text)
        copied = re.search(r'data-copy="(\w+)"', button)
        assert copied
        assert f'<code id="{copied[1]}"' in reply.text.replace('<code class="secret" id', "<code id")
