"""The server against its own document: whatever is sent to an address, the answer is one that `/openapi.json` tells of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import anyio.from_thread
import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as conformance

from footfall.web.api.openapi import make_document
from footfall.web.api.operations import API, ENCLOSED
from tests.integration.in_process import SITE, InProcess, running

#: Requests that an operation is sent by each caller; FOOTFALL_TEST_EXAMPLES says how many where there is more time.
EXAMPLES = int(os.environ.get("FOOTFALL_TEST_EXAMPLES", "4"))

HELD_TO = [
    checks.not_a_server_error,
    conformance.status_code_conformance,
    conformance.content_type_conformance,
    conformance.response_headers_conformance,
    conformance.response_schema_conformance,
]

Operation: TypeAlias = schemathesis.APIOperation[Any, Any, Any, Any]

URL = "http://footfall.example"


class Asked:
    """The application, running in a thread of its own, and what asks it."""

    def __init__(self, portal: anyio.from_thread.BlockingPortal, app: InProcess) -> None:
        self._portal = portal
        self._client = app.client
        self.callers = {"nobody": {}, "admin": portal.call(app.token, "admin")}
        app.parts.live.end()  # as when the server stops: a stream ends after its first lines, and can be waited for

    def send(self, case: Case[Any], headers: Mapping[str, str]) -> httpx.Response:
        """Send a request as it was made up, whatever stands in it."""
        made = requests.Request(**case.as_transport_kwargs(base_url=URL)).prepare()
        raw = made.body
        body = raw if raw is None or isinstance(raw, bytes) else str(raw).encode()
        sent = [
            (name.encode(), str(value).encode("utf-8", "surrogateescape")) for name, value in {**made.headers, **headers}.items()
        ]

        async def ask() -> httpx.Response:
            return await self._client.request(made.method or "", made.url or "", headers=sent, content=body)

        return self._portal.call(ask)


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    """The application with one site, whose numbers are not public."""
    with anyio.from_thread.start_blocking_portal() as portal, portal.wrap_async_context_manager(running()) as app:
        yield Asked(portal, app)


def cases(operation: Operation) -> st.SearchStrategy[Case[Any]]:
    """Requests of an operation: such as the document asks for, for the site there is and for others, and such as it does not."""
    kinds = [operation.as_strategy()]
    if "{site}" in operation.path:
        kinds.append(operation.as_strategy(path_parameters={"site": SITE}))
    if operation.query or operation.path_parameters or operation.body:
        kinds.append(operation.as_strategy(GenerationMode.NEGATIVE))
    return st.one_of(kinds)


def operations() -> list[Operation]:
    """All operations of the document."""
    found = schemathesis.openapi.from_dict(make_document(API, ENCLOSED)).get_all_operations()
    return [each.ok() for each in found if isinstance(each, Ok)]


@pytest.mark.parametrize("caller", ["nobody", "admin"])
@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.label)
def test_every_answer_is_documented(asked: Asked, operation: Operation, caller: str) -> None:
    """No request, however it is made, is answered with a fault, or with a status, a type or a shape that the document lacks."""

    @given(cases(operation))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case[Any]) -> None:
        case.validate_response(asked.send(case, asked.callers[caller]), checks=HELD_TO)

    ask()
