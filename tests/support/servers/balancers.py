"""The examples of deploy/balancers/, run as they are but for addresses: the ports of a test in place of machines and a domain.

What is left out is said where it is left out: certificates that somebody else would have to give, and nothing else. Each is a
Server like the others; `connection` is how a client reaches it.
"""

from __future__ import annotations

import abc
import http.client
import re
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from tests.support.servers.certificates import Certificates, certificates
from tests.support.servers.program import found_on_path
from tests.support.servers.server import HOST, Server

EXAMPLES = Path(__file__).parents[3] / "deploy" / "balancers"

#: The name that the examples serve, and the instances that they name.
NAME = "count.example.com"
INSTANCES = ("10.0.0.11:8000", "10.0.0.12:8000")

#: A client that waits longer for an answer has failed.
ANSWER_SECONDS = 20.0


class ExampleBalancer(Server):
    """An example in front of two instances on loopback, on a port of its own."""

    def __init__(self, instances: Sequence[int], program: Path) -> None:
        super().__init__(type(self).__name__, start_seconds=30.0)
        self.instances = instances
        self.binary = program

    @abc.abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Write the example with the test's ports, and return the command that starts the balancer with it."""

    def example(self, name: str) -> str:
        """The text of an example, with the instances' ports. Each instance has to be named in it."""
        text = (EXAMPLES / name).read_text("utf-8")
        for address, port in zip(INSTANCES, self.instances, strict=True):
            text = replaced(text, re.escape(address), f"{HOST}:{port}")
        return text

    def environment(self) -> Mapping[str, str]:
        """Its folder is its home, so that it finds and leaves nothing elsewhere."""
        return {"HOME": str(self.folder), "PATH": "/usr/bin:/bin"}

    def connection(self, source: str = HOST) -> http.client.HTTPConnection:
        """A connection from the address `source`, yet to be made. It sends the example's name as Host with `ask`."""
        return http.client.HTTPConnection(HOST, self.port, timeout=ANSWER_SECONDS, source_address=(source, 0))

    def answers(self) -> bool:
        """Whether it knows the example's name; what stands behind it need not be there."""
        connection = self.connection()
        try:
            connection.request("GET", "/readyz", headers={"Host": NAME})
            return connection.getresponse().status != http.client.NOT_FOUND
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class ExampleNginx(ExampleBalancer):
    """deploy/balancers/nginx.conf, with a certificate for the day, and without the server that leads from http to https."""

    def __init__(self, instances: Sequence[int]) -> None:
        super().__init__(instances, found_on_path("nginx"))
        self._certificates: Certificates = certificates(self.folder)

    def command(self) -> Sequence[str | Path]:
        """Write the example, and a main file that takes it in as Debian's does."""
        text = self.example("nginx.conf")
        text = replaced(text, r"(?m)^    listen (?:\[::\]:)?80;\n", "")
        text = replaced(text, r"(?s)server \{\n    server_name [^\n]*\n    return 308 .*?\n\}\n", "")
        text = replaced(text, r"listen 443 ssl;", f"listen {HOST}:{self.port} ssl;")
        text = replaced(text, r"(?m)^    listen \[::\]:443 ssl;\n", "")
        text = replaced(text, r"ssl_certificate /.*;", f"ssl_certificate {self._certificates.server};")
        text = replaced(text, r"ssl_certificate_key /.*;", f"ssl_certificate_key {self._certificates.server_key};")
        (self.folder / "footfall.conf").write_text(text)
        temporary = "".join(
            f"    {what}_temp_path {self.folder}/{what};\n" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = self.folder / "nginx.conf"
        main.write_text(
            f"daemon off;\nworker_processes 1;\npid {self.folder}/nginx.pid;\nerror_log stderr notice;\n"
            "events { worker_connections 1024; }\n"
            f"http {{\n    access_log off;\n{temporary}    include {self.folder}/footfall.conf;\n}}\n"
        )
        return [self.binary, "-p", self.folder, "-e", "stderr", "-c", main]

    def connection(self, source: str = HOST) -> http.client.HTTPConnection:
        """Over TLS."""
        context = ssl.create_default_context(cafile=self._certificates.authority)
        return http.client.HTTPSConnection(HOST, self.port, timeout=ANSWER_SECONDS, source_address=(source, 0), context=context)


class ExampleCaddy(ExampleBalancer):
    """deploy/balancers/Caddyfile without a certificate, which Caddy would ask Let's Encrypt for."""

    def __init__(self, instances: Sequence[int], program: Path | None = None) -> None:
        super().__init__(instances, program or found_on_path("caddy"))

    def command(self) -> Sequence[str | Path]:
        """Write the example."""
        text = replaced(self.example("Caddyfile"), rf"(?m)^{re.escape(NAME)} \{{", f"http://{NAME}:{self.port} {{\n\tbind {HOST}")
        path = self.folder / "Caddyfile"
        path.write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{text}")
        return [self.binary, "run", "--config", path, "--adapter", "caddyfile"]


class ExampleTraefik(ExampleBalancer):
    """deploy/balancers/traefik.yml and what it names, without a certificate, and without the entry point that leads to https."""

    def command(self) -> Sequence[str | Path]:
        """Write the examples."""
        dynamic, static = (
            yaml.safe_load(self.example("traefik-footfall.yml")),
            yaml.safe_load((EXAMPLES / "traefik.yml").read_text()),
        )
        del dynamic["http"]["routers"]["footfall"]["tls"], static["certificatesResolvers"], static["entryPoints"]["web"]
        static["entryPoints"]["websecure"]["address"] = f"{HOST}:{self.port}"
        static["providers"]["file"]["filename"] = str(self.folder / "traefik-footfall.yml")
        static["global"] = {"checkNewVersion": False, "sendAnonymousUsage": False}
        (self.folder / "traefik-footfall.yml").write_text(yaml.safe_dump(dynamic))
        path = self.folder / "traefik.yml"
        path.write_text(yaml.safe_dump(static))
        return [self.binary, f"--configfile={path}"]


def replaced(text: str, pattern: str, by: str) -> str:
    """The text with a part replaced, which has to stand in it."""
    new, times = re.subn(pattern, lambda _: by, text)
    if not times:
        raise AssertionError(f"the example does not have {pattern!r} any more")
    return new
