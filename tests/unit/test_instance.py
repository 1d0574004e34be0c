"""An instance finds its name without raising, without waiting, and without asking strangers."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall.instance import MAX_NAME, NAMELESS, Fetch, fetch_text, instance_name

TASK_ARN = "arn:aws:ecs:eu-central-1:123456789012:task/shop/0f9de17a6465404e8b1b2356dc13c2f8"
TASK_ID = "0f9de17a6465404e8b1b2356dc13c2f8"
EC2_ID = "i-0abcdef1234567890"
TOKEN = "AQAEAN-token=="


class Metadata(http.server.BaseHTTPRequestHandler):
    """A metadata service as ECS and EC2 have it; IMDSv2 only: no id without the token."""

    def do_PUT(self) -> None:
        good = self.path == "/latest/api/token" and 1 <= int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) <= 21600
        self._answer(200 if good else 400, TOKEN)

    def do_GET(self) -> None:
        if self.path == "/v4/abc/task":
            self._answer(200, json.dumps({"Cluster": "shop", "TaskARN": TASK_ARN, "Containers": [{"Name": "web"}]}))
        elif self.path == "/moved/task":
            self.send_response(302)
            self.send_header("Location", "/v4/abc/task")
            self.end_headers()
        elif self.path == "/latest/meta-data/instance-id" and self.headers["X-aws-ec2-metadata-token"] == TOKEN:
            self._answer(200, EC2_ID)
        else:
            self._answer(401, "no")

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests are quiet."""


@pytest.fixture(scope="module")
def metadata() -> Iterator[str]:
    """The base URL of a metadata service on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def ec2(tmp_path: Path) -> Path:
    """What Linux shows of an EC2 instance's firmware."""
    (tmp_path / "board_vendor").write_text("Amazon EC2\n")
    return tmp_path


def refuses(method: str, url: str, headers: Mapping[str, str]) -> str:
    """Stands where nothing may be asked."""
    raise AssertionError(f"{method} {url} was asked")


def named(
    setting: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    fetch: Fetch = fetch_text,
    ec2_metadata: str = "http://127.0.0.1:9",
    dmi_folder: Path = Path("/nowhere"),
    host_name: Callable[[], str] = lambda: "host-7",
) -> str:
    """The name of an instance on a machine that is nothing special but for what is passed."""
    return instance_name(
        setting, environ=environ or {}, fetch=fetch, ec2_metadata=ec2_metadata, dmi_folder=dmi_folder, host_name=host_name
    )


def test_the_setting_goes_before_everything(ec2: Path) -> None:
    """Where the user gave a name, nothing is asked."""
    assert (
        named("web-1", environ={"ECS_CONTAINER_METADATA_URI_V4": "http://127.0.0.1:9"}, fetch=refuses, dmi_folder=ec2) == "web-1"
    )


def test_an_ecs_task_is_called_by_its_id(metadata: str, ec2: Path) -> None:
    """The last part of the task's ARN, also where the task runs on an EC2 instance."""
    environ = {"ECS_CONTAINER_METADATA_URI_V4": f"{metadata}/v4/abc"}
    assert named(environ=environ, ec2_metadata=metadata, dmi_folder=ec2) == TASK_ID


@pytest.mark.parametrize("file", ["board_vendor", "sys_vendor"])
def test_an_ec2_instance_is_called_by_its_id(metadata: str, tmp_path: Path, file: str) -> None:
    """By IMDSv2, where either of the firmware's two vendors is Amazon EC2."""
    (tmp_path / file).write_text("Amazon EC2\n")
    assert named(ec2_metadata=metadata, dmi_folder=tmp_path) == EC2_ID


@pytest.mark.parametrize("vendor", [None, "", "QEMU\n", "Amazon\n"])
def test_a_machine_that_is_not_amazons_is_asked_nothing(tmp_path: Path, vendor: str | None) -> None:
    """No request leaves it, and it is called by its host name."""
    if vendor is not None:
        (tmp_path / "sys_vendor").write_text(vendor)
    asked: list[str] = []

    def fetch(method: str, url: str, headers: Mapping[str, str]) -> str:
        asked.append(url)
        return EC2_ID

    assert (named(fetch=fetch, dmi_folder=tmp_path), asked) == ("host-7", [])


def test_no_proxy_is_asked(metadata: str, ec2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment would tell the proxy's name, not ours."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert named(ec2_metadata=metadata, dmi_folder=ec2) == EC2_ID


@pytest.mark.parametrize(
    "base", ["{}/none", "{}/moved", "https://127.0.0.1:9", "file:///etc", "http://127.0.0.1:9", "http://[", "x", "http://h:x"]
)
def test_a_metadata_service_without_a_good_answer_is_passed_over(metadata: str, base: str) -> None:
    """Errors, redirects, other schemes, closed ports and broken URLs lead to the next way, not to an exception."""
    assert named(environ={"ECS_CONTAINER_METADATA_URI_V4": base.format(metadata)}) == "host-7"


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"TaskARN": null}', '{"TaskARN": ""}', '{"TaskARN": "a/"}', "[" * 200_000])
def test_a_strange_description_of_a_task_is_passed_over(body: str) -> None:
    """Whatever the service says."""
    assert named(environ={"ECS_CONTAINER_METADATA_URI_V4": "http://m"}, fetch=lambda *_: body) == "host-7"


def test_a_silent_metadata_service_does_not_hold_up_the_start() -> None:
    """A service that takes the connection and says nothing costs a moment, no more."""
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        fetch_text("GET", f"http://127.0.0.1:{silent.getsockname()[1]}/", {})


@given(st.text())
def test_every_name_fits_a_header(setting: str) -> None:
    """Printable ASCII, 1 to 64 characters, no blanks at its ends."""
    name = named(setting)
    assert 1 <= len(name) <= MAX_NAME
    assert name.isascii()
    assert name.isprintable()
    assert name == name.strip()


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("web 1", "web 1"),
        (" web\r\nX-Evil: 1 ", "web X-Evil: 1"),
        ("größe", "gr??e"),
        ("", "host-7"),
        (" \n", "host-7"),
        ("x" * 65, "x" * 64),
    ],
)
def test_names_are_cleaned(setting: str, name: str) -> None:
    """Line breaks become blanks, other letters ?, and what is left empty is no name."""
    assert named(setting) == name


def test_a_machine_without_a_name_is_called_something() -> None:
    """Even the host name may be missing."""

    def fails() -> str:
        raise OSError("no name")

    assert named(host_name=fails) == NAMELESS
    assert named(host_name=str) == NAMELESS


def test_without_arguments_the_real_machine_is_asked(monkeypatch: pytest.MonkeyPatch, metadata: str) -> None:
    """os.environ and the HTTP client are the defaults."""
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", f"{metadata}/v4/abc")
    assert instance_name(None) == TASK_ID
