"""Ways to a server: TLS, Unix sockets, users and passwords, Sentinels; and the replicas that a commit waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from footfall.errors import StoreUnavailable, StoreUnusable
from footfall.model import Span, Tier
from footfall.stores.redis import RedisStore
from tests.support.servers import Engine, RedisServer, free_port, wait_until
from tests.support.servers.sentinel import RedisWithSentinels
from tests.unit.stores.redis_given import SITE, START, Clock, Writer, store_at, total_of, views_of

SECRET = "s3cret/at?the#door"
DOCS = Path(__file__).resolve().parents[3] / "docs" / "redis.md"


def as_documented() -> list[str]:
    """The words that make the user which the docs recommend."""
    (line,) = [line for line in DOCS.read_text("utf-8").splitlines() if line.startswith("ACL SETUSER footfall")]
    return line.replace(">PASSWORD", f">{SECRET}").split()


@asynccontextmanager
async def opened(url: str, **options: object) -> AsyncIterator[RedisStore]:
    """A store with a clock that stands still, closed afterwards."""
    store = store_at(url, Clock(), **options)  # type: ignore[arg-type]  # options are handed on as they come
    try:
        yield store
    finally:
        await store.close()


async def counts_at(url: str) -> None:
    """A store at the URL counts and reads."""
    async with opened(url) as store:
        writer = Writer(store)
        before = await total_of(store, "/")
        await writer.store.ping()
        await store.forget(SITE)
        assert (await writer.count({"/": 1}, wanted=["/"])).counts["/"].total == 1
        assert before in (0, 1)


async def test_tls_is_spoken_with_a_trusted_server_alone() -> None:
    """The server's certificate must be signed by the authority that is named; one's own is shown where it is asked for."""
    with RedisServer(tls=True, client_certificate=True) as server:
        files = server.certificates
        assert files is not None
        trust = f"ssl_ca_certs={files.authority}"
        own = f"ssl_certfile={files.client}&ssl_keyfile={files.client_key}"
        await counts_at(f"{server.url}?{trust}&{own}")
        await counts_at(f"{server.url.replace('127.0.0.1', 'localhost')}?{trust}&{own}")
        for url, kind, mend in (
            (f"{server.url}?{own}", StoreUnusable, "ssl_ca_certs"),
            (f"{server.url}?{trust}", StoreUnavailable, "TLS|can't reach"),
            (server.url.replace("rediss", "redis"), StoreUnavailable, "can't reach"),
        ):
            async with opened(url) as store:
                with pytest.raises(kind, match=mend):
                    await store.ping()


async def test_a_unix_socket_is_a_way() -> None:
    """With a database and a password too."""
    with RedisServer(socket=True, password=SECRET) as server:
        await counts_at(server.socket_url)
        await counts_at(f"{server.socket_url}?db=3")
        assert server.ask("INFO", "keyspace").keys() == {"db0", "db3"}


async def test_a_database_is_chosen_and_must_be_there() -> None:
    """Numbers in one database are not those of another; a database the server has not is refused."""
    with RedisServer() as server:
        async with opened(f"{server.url}") as store, opened(f"{server.url[:-1]}5") as other:
            await Writer(store).count({"/": 1})
            assert await total_of(other, "/") == 0
        async with opened(f"{server.url[:-1]}99") as store:
            with pytest.raises(StoreUnusable, match="database"):
                await store.ping()


@pytest.mark.parametrize("engine", list(Engine), ids=lambda engine: engine.name)
async def test_the_user_of_the_docs_is_enough(engine: Engine) -> None:
    """With those rights all works; without CONFIG a note says what can't be seen; with still fewer the error names them."""
    with RedisServer(engine.path) as server:
        server.ask(*as_documented())
        url = f"redis://footfall:{SECRET}@127.0.0.1:{server.port}/1"
        await counts_at(url)
        async with opened(url) as store:
            assert [line for line in await store.warnings() if "append-only" in line]
            for tier in Tier:
                await store.top(SITE, Span(tier, 60), 3)
                await store.newest(SITE, "/", Span(tier, 3))
            await store.forget(SITE, "/")
            server.ask("ACL", "SETUSER", "footfall", "-config")
            (note,) = [line for line in await store.warnings() if "CONFIG" in line]
            assert "can't be seen" in note
            server.ask("ACL", "SETUSER", "footfall", "resetkeys", "~other:*")
            with pytest.raises(StoreUnusable, match=r"footfall:\*"):
                await total_of(store, "/")
            server.ask("ACL", "SETUSER", "footfall", "~footfall:*", "-evalsha", "-eval", "-script")
            with pytest.raises(StoreUnusable, match="scripts"):
                await total_of(store, "/")


@pytest.mark.parametrize("credentials", ["", ":wrong@", "nobody:wrong@"])
async def test_a_wrong_password_is_said_and_not_shown(credentials: str) -> None:
    """The message names the server and no password."""
    with RedisServer(password=SECRET) as server:
        async with opened(f"redis://{credentials}127.0.0.1:{server.port}") as store:
            with pytest.raises(StoreUnusable, match="password") as refused:
                await store.ping()
        assert str(server.port) in str(refused.value)
        assert "wrong" not in str(refused.value).replace("wrong password", "")


async def test_a_password_that_is_not_wanted_is_said() -> None:
    """A server without passwords refuses one."""
    with RedisServer() as server:
        async with opened(f"redis://:{SECRET}@127.0.0.1:{server.port}") as store:
            with pytest.raises(StoreUnusable, match="has no password"):
                await store.ping()


async def test_a_password_file_is_read_for_every_connection(tmp_path: Path) -> None:
    """A new password in it is used as soon as a connection has to be made."""
    path = tmp_path / "password"
    path.write_text("old\n")
    with RedisServer(password=SECRET) as server:
        async with opened(f"redis://127.0.0.1:{server.port}?password_file={path}") as store:
            with pytest.raises(StoreUnusable, match="password"):
                await store.ping()
            path.write_text(f"{SECRET}\n")
            await store.ping()
            path.unlink()
            await store.ping()
            server.ask("CLIENT", "KILL", "TYPE", "normal")
            with pytest.raises(StoreUnavailable, match=r"password_file .* not there or not readable"):
                await store.ping()
            path.write_bytes("größe".encode("latin-1"))
            with pytest.raises(StoreUnavailable, match=r"password_file .* not UTF-8"):
                await store.ping()


async def test_nobody_at_the_address_is_unavailable() -> None:
    """One line, with the address and the reason: for a server, a socket, Sentinels and a cluster."""
    port = free_port()
    for url, reason in (
        (f"redis://:{SECRET}@127.0.0.1:{port}", "Connection refused"),
        ("unix:///nowhere/redis.sock", "No such file or directory"),
        (f"redis+sentinel://:{SECRET}@127.0.0.1:{port}/main", "Connection refused"),
        (f"redis+cluster://:{SECRET}@127.0.0.1:{port}", "Connection refused"),
        (f"redis://:{SECRET}@no-such-host.invalid:{port}", "[Nn]ame"),
    ):
        async with opened(url) as store:
            with pytest.raises(StoreUnavailable, match=rf"can't reach .*{reason}.*: does it run") as failed:
                await store.ping()
            assert str(port) in str(failed.value) or "/nowhere/redis.sock" in str(failed.value)
            assert "\n" not in str(failed.value)
            assert "s3cret" not in str(failed.value)


async def test_a_server_that_hangs_up_is_told_apart_from_none() -> None:
    """As a proxy does whose own server is away."""
    hanging_up = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with hanging_up, opened(f"redis://127.0.0.1:{hanging_up.sockets[0].getsockname()[1]}") as store:
        with pytest.raises(StoreUnavailable, match=r"the connection to 127\.0\.0\.1:\d+ was lost|Connection reset"):
            await store.ping()


# Sentinels


async def test_the_primary_that_sentinels_name_is_followed() -> None:
    """After a failover, the next calls go to the new primary; a Sentinel that is gone does not matter."""
    with RedisWithSentinels(password=SECRET) as servers:
        async with opened(f"{servers.url.rpartition('/')[0]}/nosuch") as store:
            with pytest.raises(StoreUnavailable, match=r"nosuch, which the Sentinels .* they answer, but know no service"):
                await store.ping()
        async with opened(servers.url, durability="replicas:1") as store:
            writer = Writer(store)
            for n in range(3):
                await writer.count({"/": 1})
                servers.sentinels[0].kill()
                await _failover(servers, writer)
                assert await total_of(store, "/") == 2 * (n + 1)
                if n == 0:
                    servers.sentinels[0].start()


async def _failover(servers: RedisWithSentinels, writer: Writer) -> None:
    """Kill the connections as a failover does: by a change of primary while a batch is to be counted."""
    old = servers.primary
    await asyncio.to_thread(servers.wait_settled)
    await asyncio.to_thread(servers.wait_copied)
    servers.sentinels[1].ask("SENTINEL", "FAILOVER", servers.service)
    new = await asyncio.to_thread(servers.wait_for_other_primary, old)
    # As long as the old primary lives and has a replica that could confirm a batch, it takes some that are lost with its role.
    following = [server for server in servers.servers if server not in (old, new)]
    await asyncio.to_thread(wait_until, lambda: all(server.follows(new) for server in following), "they follow", seconds=30)
    part = writer.batch
    try:
        await writer.count({"/": 1})
    except StoreUnavailable:
        assert writer.batch.sequence == part.sequence + 1
        # The old primary must have become a replica before one can confirm the batch: Sentinels see to that in their own time.
        async with asyncio.timeout(60):
            while True:
                try:
                    await writer.again()
                except StoreUnavailable:
                    await asyncio.sleep(0.05)
                else:
                    return
        await writer.again()


async def test_a_service_that_sentinels_do_not_know_is_said() -> None:
    """The message has its name."""
    with RedisWithSentinels(replicas=0) as servers:
        async with opened(servers.url.replace("/footfall", "/other")) as store:
            with pytest.raises(StoreUnavailable, match="other, which the Sentinels"):
                await store.ping()


# Durability

AT_ONCE = {"repl-diskless-sync-delay": "0"}


async def follow(replica: RedisServer, server: RedisServer) -> None:
    """Return when the one follows the other and has all that it has."""
    replica.follow(server)
    await asyncio.to_thread(wait_until, lambda: replica.follows(server), "the replica follows")


async def test_too_few_replicas_are_no_acknowledgement() -> None:
    """With replicas:N a commit fails until N replicas have it; sent again it waits again, and counts once."""
    with RedisServer(options=AT_ONCE) as server, RedisServer() as replica:
        async with opened(server.url, durability="replicas:1") as store, opened(replica.url) as reader:
            writer = Writer(store)
            for call in (writer.count({"/": 1}), store.ping()):
                with pytest.raises(StoreUnavailable, match=r"0 of 1 replicas"):
                    await call
            assert await total_of(store, "/") == 0  # not even the site's name in the list was confirmed
            await follow(replica, server)
            await writer.again()
            assert await total_of(reader, "/") == 1
            await store.ping()
            replica.pause()
            try:
                with pytest.raises(StoreUnavailable, match=r"0 of 1 replicas"):
                    await writer.count({"/": 1})
                with pytest.raises(StoreUnavailable, match=r"0 of 1 replicas"):
                    await writer.again()
                assert await total_of(store, "/") == 2
            finally:
                replica.resume()
            await writer.again()
            assert await total_of(reader, "/") == await total_of(store, "/") == 2


async def test_a_batch_that_the_new_primary_has_not_is_counted_there() -> None:
    """What was not confirmed and got lost with its server counts when it is sent again; what was confirmed is there."""
    with RedisServer(options=AT_ONCE) as server, RedisServer() as replica:
        await follow(replica, server)
        async with opened(server.url, durability="replicas:1") as store, opened(replica.url) as successor:
            writer = Writer(store)
            await writer.count({"/": 5})
            replica.pause()
            with pytest.raises(StoreUnavailable):
                await writer.count({"/": 1})
            server.kill()
            replica.resume()
            replica.ask("REPLICAOF", "NO", "ONE")
            assert await total_of(successor, "/") >= 5  # the last batch may have been on its way
            writer.store = successor
            await writer.again()
            assert await successor.applied(SITE, "w") == 2
            assert await total_of(successor, "/") == 6


async def test_risks_are_said_once_each() -> None:
    """What endangers views is a line that names the server; where all is well there is none."""
    with RedisServer(aof="always", options=AT_ONCE) as server, RedisServer() as replica:
        await follow(replica, server)
        async with opened(server.url) as store:
            assert await store.warnings() == []
            server.ask("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
            server.ask("CONFIG", "SET", "appendonly", "no")
            replica.kill()
            for _ in range(100):
                warnings = await store.warnings()
                if len(warnings) == 3:
                    break
                await asyncio.sleep(0.05)
            for warning, word in zip(warnings, ("volatile-ttl", "append-only", "replica"), strict=True):
                assert warning.startswith(f"127.0.0.1:{server.port}: ")
                assert word in warning


async def test_many_calls_at_once_share_a_few_connections() -> None:
    """Hundreds of readings at a time are all answered, on no more connections than the store may have."""
    with RedisServer() as server:
        async with opened(server.url) as store:
            await Writer(store).count({"/": 3})
            assert set(await asyncio.gather(*(views_of(store, "/") for _ in range(300)))) == {3}
            assert 2 <= str(server.ask("CLIENT", "LIST")).count("name=footfall ") <= 16
            assert (await store.counts(SITE, ["/"], 60)).at == START
