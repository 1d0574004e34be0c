"""Who am I: the name of this instance, as pages, headers and logs show it.

The setting decides; else the ECS task's id, else the EC2 instance's id, else the host's name. Nothing here ever raises or
keeps a start waiting for more than a moment, and a machine that is not Amazon's is asked nothing over the network. This module
knows no settings and no server.
"""

from __future__ import annotations

import http.client
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

#: Asks a metadata service: method, URL and headers in, the body out. May raise whatever it likes.
Fetch = Callable[[str, str, Mapping[str, str]], str]

#: A name is cut off here, so that headers and pages stay short.
MAX_NAME = 64

#: How many seconds each step of a question may take: connecting, sending, and each part of the answer.
TIMEOUT_SECONDS = 0.5

#: More of an answer is not read. The description of an ECS task with many containers is a few kilobytes long.
MAX_BODY_BYTES = 256 * 1024

#: Where every EC2 instance finds its metadata service, a link-local address (EC2 User Guide, "Access instance metadata").
EC2_METADATA = "http://169.254.169.254"

#: Where Linux shows what a machine's firmware says about itself.
DMI_FOLDER = Path("/sys/devices/virtual/dmi/id")

#: How an EC2 instance's firmware calls its maker.
EC2_VENDOR = "Amazon EC2"

#: What an instance is called that has no name at all.
NAMELESS = "footfall"

_log = logging.getLogger(__name__)


class _Task(msgspec.Struct):
    """What is read of an ECS task's description (ECS Developer Guide, "Task metadata endpoint version 4")."""

    TaskARN: str


def instance_name(
    setting: str | None,
    *,
    environ: Mapping[str, str] | None = None,
    fetch: Fetch | None = None,
    ec2_metadata: str = EC2_METADATA,
    dmi_folder: Path = DMI_FOLDER,
    host_name: Callable[[], str] = socket.gethostname,
) -> str:
    """The instance's name: printable ASCII, 1 to 64 characters, fit for an HTTP header. Never raises.

    `setting` is what the user called it, if anything. Without `environ` the process's environment is read, without `fetch`
    metadata services are asked over HTTP.
    """
    environ = os.environ if environ is None else environ
    fetch = fetch_text if fetch is None else fetch
    sources: tuple[Callable[[], str], ...] = (
        lambda: setting or "",
        lambda: _ecs_task(environ, fetch),
        lambda: _ec2_instance(ec2_metadata, dmi_folder, fetch),
        host_name,
    )
    return next(_names(sources), NAMELESS)


def fetch_text(method: str, url: str, headers: Mapping[str, str]) -> str:
    """Ask a metadata service on this machine's own network, past any proxy and following no redirect.

    Raises OSError, http.client.HTTPException or ValueError where there is no good answer: text, with status 200.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        raise ValueError("a metadata service has a URL that begins with http://")
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, parts.path or "/", headers=dict(headers))
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise ValueError(f"the metadata service answered {answer.status}")
        return answer.read(MAX_BODY_BYTES).decode()
    finally:
        connection.close()


def _names(sources: tuple[Callable[[], str], ...]) -> Iterator[str]:
    """The names that the sources have, cleaned, each asked only when those before had none."""
    for source in sources:
        try:
            name = _clean(source())
        except Exception as error:  # a name is a convenience: whatever goes wrong in finding it must not stop the server
            _log.info("a way to this instance's name failed: %s", error)
            continue
        if name:
            yield name


def _ecs_task(environ: Mapping[str, str], fetch: Fetch) -> str:
    """The id of the ECS task this process runs in: the last part of its ARN. Empty elsewhere."""
    base = environ.get("ECS_CONTAINER_METADATA_URI_V4", "")
    if not base:
        return ""
    task = msgspec.json.decode(fetch("GET", f"{base}/task", {}), type=_Task)
    return task.TaskARN.rpartition("/")[2]


def _ec2_instance(base: str, dmi_folder: Path, fetch: Fetch) -> str:
    """The id of the EC2 instance this process runs on, by IMDSv2: a token first, then the id. Empty elsewhere."""
    if not any(_is_ec2(dmi_folder / file) for file in ("board_vendor", "sys_vendor")):
        return ""
    token = fetch("PUT", f"{base}/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    return fetch("GET", f"{base}/latest/meta-data/instance-id", {"X-aws-ec2-metadata-token": token.strip()})


def _is_ec2(vendor_file: Path) -> bool:
    try:
        return vendor_file.read_text(errors="replace").strip() == EC2_VENDOR
    except OSError:
        return False


def _clean(name: str) -> str:
    """A name without control characters and line breaks, other letters than ASCII's as ?, cut to MAX_NAME."""
    visible = re.sub(r"[\x00-\x20\x7f-\x9f]+", " ", name).encode("ascii", "replace").decode()
    return visible.strip()[:MAX_NAME].strip()
