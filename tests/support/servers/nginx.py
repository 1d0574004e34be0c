"""nginx in front of several instances, as a load balancer for tests; everything it writes lies in its folder.

A view must not be counted twice because the balancer sent it twice. A request goes to another instance only if not a byte of
it had been sent to the first one; nginx's own `proxy_next_upstream error` would also repeat a GET whose connection broke after
it was sent, and no setting of nginx's says "unless it was sent". What is broken off later is answered with 502, and the client,
who knows whether its view carries an event id, may send it again.

A rolling restart needs one thing more. An instance that ends closes connections that wait for their next request; nginx may be
sending one at that moment, and can't know whether it was read. So an instance is first taken out with `reload`, which lets the
requests under way finish; then it is stopped, started, and taken in again. Load balancers of clouds do the same by themselves
(an instance that says it is unready, or that is being deregistered, gets no new requests while it still serves).
At a reload nginx closes its clients' idle connections too; a client that was about to use one has to connect again.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.servers.program import found_on_path, wait_until
from tests.support.servers.server import HOST, Server

#: Seconds an instance is left alone after a request could not be sent to it.
FAIL_SECONDS = 1

#: nginx drops a connection to an instance that has waited so many seconds: earlier than the instance would (75), so that it does
#: not send a request on one that is just being closed.
IDLE_SECONDS = 30

#: How many instances may be tried for one request. Each further one is a named location: nginx allows ten such hops.
TRIES = 4

#: Where nginx says which configuration is in force.
GENERATION_PATH = "/.nginx/generation"

_CONFIGURATION = """\
daemon off;
worker_processes {workers};
worker_shutdown_timeout 10s;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 4096; }}
http {{
    log_format short '$msec $status "$request" $upstream_addr $upstream_status $upstream_bytes_sent';
    access_log {folder}/access.log short buffer=32k flush=1s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    upstream instances {{
{servers}
        keepalive 256;
        keepalive_requests 1000000;
        keepalive_timeout {idle}s;
    }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_buffering off;
    proxy_connect_timeout 1s;
    proxy_next_upstream off;
    server {{
        listen {host}:{port} backlog=4096;
        location = {generation_path} {{ return 200 "{generation}"; }}
        location / {{
            proxy_pass http://instances;
            error_page 502 504 = @try2;
        }}
{retries}
    }}
}}
"""

#: $upstream_bytes_sent lists the bytes sent by each attempt so far: only zeros and dashes mean that nothing was sent.
_RETRY = """\
        location @try{number} {{
            if ($upstream_bytes_sent ~ "[1-9]") {{ return 502; }}
            proxy_pass http://instances;
            {further}
        }}"""


class Nginx(Server):
    """nginx on a free loopback port in front of the instances on these ports, which it takes in turn.

    An instance that can't be connected to is left alone for a second. `workers` is the number of nginx's own processes.
    """

    def __init__(self, upstream_ports: Sequence[int], *, workers: int = 1) -> None:
        super().__init__("nginx")
        self.binary = found_on_path("nginx")
        self.upstream_ports = list(upstream_ports)
        self._workers = workers
        self._generation = 0

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://{HOST}:{self.port}"

    def command(self) -> Sequence[str | Path]:
        """Write the configuration, and return the command that starts nginx with it."""
        # "stderr" has to be said on the command line too: before it reads a configuration, nginx logs where it was built to.
        return [self.binary, "-p", self.folder, "-e", "stderr", "-c", self._written()]

    def _written(self) -> Path:
        self._generation += 1
        servers = [f"        server {HOST}:{port} max_fails=1 fail_timeout={FAIL_SECONDS}s;" for port in self.upstream_ports]
        retries = [
            _RETRY.format(number=number, further=f"error_page 502 504 = @try{number + 1};" if number < TRIES else "")
            for number in range(2, TRIES + 1)
        ]
        values: dict[str, Any] = {
            "workers": self._workers,
            "folder": self.folder,
            "servers": "\n".join(servers),
            "idle": IDLE_SECONDS,
            "host": HOST,
            "port": self.port,
            "generation_path": GENERATION_PATH,
            "generation": self._generation,
            "retries": "\n".join(retries),
        }
        path = self.folder / "nginx.conf"
        path.write_text(_CONFIGURATION.format(**values))
        return path

    def answers(self) -> bool:
        """Whether this very nginx answers, with the configuration that was written last."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=2)
        try:
            connection.request("GET", GENERATION_PATH)
            reply = connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return reply == str(self._generation)

    def reload(self, upstream_ports: Sequence[int], *, seconds: float = 15.0) -> None:
        """Put other instances behind it without breaking off a request; returns when those taken out get none any more."""
        self.upstream_ports = list(upstream_ports)
        before = self._worker_pids()
        self._written()
        self.program.hang_up()
        shown = self.program.last_words
        wait_until(lambda: not before & self._worker_pids(), "the former workers of nginx end", seconds=seconds, shown=shown)
        wait_until(self.answers, "nginx answers with its new configuration", seconds=seconds, shown=shown)

    def _worker_pids(self) -> set[int]:
        """The worker processes that nginx has started and that still run, by its own log."""
        log = self.program.written()
        return {int(pid) for pid in re.findall(r"start worker process (\d+)", log)} - {
            int(pid) for pid in re.findall(r"worker process (\d+) exited", log)
        }
