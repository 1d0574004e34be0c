"""The stack of compose.yaml: one number from three instances, whatever becomes of one of them."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import re

from tests.stack.stack import INSTANCES, SITE, Stack
from tests.support.servers import Report, send_views, wait_until

_log = logging.getLogger(__name__)

#: Views a second, so that even a busy machine keeps up.
RATE = 120
CONNECTIONS = 12


async def load(stack: Stack, page: str, stop: asyncio.Event) -> Report:
    """Views of a page, until told to stop."""
    return await send_views(
        stack.port,
        views=1_000_000,
        site=SITE,
        pages=[page],
        connections=CONNECTIONS,
        per_second=RATE,
        stop=stop,
        reply_seconds=30,
    )


async def counted(stack: Stack, page: str, report: Report) -> int:
    """The views of a page, when all that was acknowledged is among them: on a busy machine some are spooled first."""

    def are_counted() -> bool:
        return int(stack.count(page)["total"]) >= report.stored

    await asyncio.to_thread(wait_until, are_counted, "what was stored is counted", seconds=60, despite=AssertionError)
    return int((await asyncio.to_thread(stack.count, page))["total"])


def test_only_the_balancer_can_be_reached(stack: Stack) -> None:
    """No other service publishes a port, and what is not for everyone is not shown through the balancer."""
    published = {}
    for service in stack.services():
        bindings = stack.engine.inspect("container", stack.container(service))["HostConfig"]["PortBindings"]
        published[service] = [port for ports in bindings.values() for port in ports or []]
    assert {service for service, ports in published.items() if ports} == {"balancer"}
    assert stack.get("/metrics")[0] == 404


def test_every_service_is_hardened(stack: Stack) -> None:
    """Read-only, without capabilities, with limits, and none but the one that draws passwords as root."""
    assert set(stack.services()) == {"balancer", "valkey", "secrets", *INSTANCES}
    for service in stack.services():
        found = stack.engine.inspect("container", stack.container(service))
        host = found["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert "no-new-privileges" in str(host["SecurityOpt"]), service
        assert host["Memory"] > 0, service
        assert set(found["EffectiveCaps"] or []) <= ({"CAP_CHOWN"} if service == "secrets" else set()), service
        assert (found["Config"]["User"].split(":")[0] == "0") == (service == "secrets"), service


def test_the_store_asks_for_its_password(stack: Stack) -> None:
    """Who does not know it is refused, and neither settings nor command lines hold it."""
    valkey = stack.container("valkey")
    assert "NOAUTH" in stack.engine.podman("exec", valkey, "valkey-cli", "get", "x")
    password = stack.engine.podman("exec", valkey, "cat", "/run/secrets/valkey_password")
    assert re.fullmatch(r"[0-9a-f]{64}", password)
    for service in stack.services():
        container = stack.container(service)
        assert password not in json.dumps(stack.engine.inspect("container", container)), service
        assert password not in stack.engine.logs(container), service


def test_all_instances_show_one_number(stack: Stack) -> None:
    """Each visit of the front page is one view more, whichever instance answers; and all of them do."""
    before = stack.count("/")["total"]
    lines = [stack.get("/")[1].splitlines() for _ in range(12)]
    assert stack.count("/")["total"] == before + 12
    assert {line[1].removeprefix("instance: ") for line in lines} == set(INSTANCES)
    assert any(first[1] != second[1] for first, second in itertools.pairwise(lines))


async def test_what_was_sent_is_what_was_counted(stack: Stack) -> None:
    """Through the balancer, over many connections, every view is acknowledged and counted once."""
    report = await send_views(stack.port, views=2000, site=SITE, pages=["/sent"], connections=CONNECTIONS, reply_seconds=30)
    _log.info("%s", report)
    assert report.stored == report.sent == 2000, report
    assert set(report.instances) == set(INSTANCES)
    assert await counted(stack, "/sent", report) == 2000


async def test_a_killed_instance_costs_only_what_it_held(stack: Stack) -> None:
    """Under load one instance is killed: at most the requests that it held fail, one a connection, and it comes back."""
    stop = asyncio.Event()
    sending = asyncio.create_task(load(stack, "/killed", stop))
    await asyncio.sleep(2)
    await asyncio.to_thread(stack.engine.kill, stack.container("footfall-2"))
    await asyncio.to_thread(stack.wait_for_all)
    stop.set()
    report = await sending
    _log.info("%s", report)
    assert report.failed <= CONNECTIONS, report
    assert report.stored + report.failed == report.sent, report
    assert report.stored <= await counted(stack, "/killed", report) <= report.sent, report


async def test_a_rolling_update_fails_no_request(stack: Stack) -> None:
    """Under load all instances are replaced, one after the other: every view is acknowledged at its first try, and counted."""
    before = {instance: stack.container(instance) for instance in INSTANCES}
    stop = asyncio.Event()
    sending = asyncio.create_task(load(stack, "/updated", stop))
    await asyncio.sleep(1)
    await asyncio.to_thread(stack.update, "--force-recreate")
    await asyncio.to_thread(stack.wait_for_all)
    stop.set()
    report = await sending
    _log.info("%s", report)
    assert not {instance for instance in INSTANCES if stack.container(instance) == before[instance]}
    assert report.failures.total() == 0, report
    assert report.stored == report.sent == report.requests, report
    assert await counted(stack, "/updated", report) == report.sent


async def test_a_restarted_store_costs_no_view(stack: Stack) -> None:
    """While Valkey starts anew, views wait or are spooled; each is counted in the end."""
    stop = asyncio.Event()
    sending = asyncio.create_task(load(stack, "/restarted", stop))
    await asyncio.sleep(1)
    await asyncio.to_thread(stack.compose, "restart", "valkey")
    await asyncio.sleep(2)
    stop.set()
    report = await sending
    _log.info("%s", report)
    assert report.stored == report.sent == report.requests, report
    assert await counted(stack, "/restarted", report) == report.sent


def test_monitoring_sees_every_instance(stack: Stack) -> None:
    """With the profile `monitoring`, Prometheus scrapes all three and has our rules loaded."""
    stack.compose("--profile", "monitoring", "up", "--detach", "--no-build", "--no-deps", "--wait", "prometheus")
    prometheus = stack.container("prometheus")

    def ask(path: str) -> str:
        return stack.engine.podman("exec", prometheus, "wget", "-q", "-O", "-", f"http://127.0.0.1:9090/api/v1/{path}")

    def are_up() -> bool:
        targets = json.loads(ask("targets"))["data"]["activeTargets"]
        return [target["health"] for target in targets if target["labels"]["job"] == "footfall"] == ["up"] * len(INSTANCES)

    wait_until(are_up, "all instances are scraped", seconds=90, shown=lambda: ask("targets"), despite=AssertionError)
    assert json.loads(ask("rules"))["data"]["groups"]
