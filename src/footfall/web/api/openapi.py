"""`/openapi.json`: the interface as an OpenAPI document (3.1), made from the route table and from the types that cross the wire.

What each address takes and answers is in `operations.py`, one row per method; what a caller needs is in the route table, and
the replies that follow from it are added here. The document is the same for every caller and every instance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from footfall.model import DIMENSIONS
from footfall.rules import Rules
from footfall.version import __version__
from footfall.web.permissions import SESSION_COOKIE, SHARE_COOKIE
from footfall.web.problems import PROBLEM_TYPE, Problem
from footfall.web.routes import ROUTES, Needs, Row

#: A JSON schema, or a type that msgspec makes one of.
Schema = Any

_REF = "#/components/schemas/{name}"
_VARIABLE = re.compile(r"\{(\w+)\}")


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of the query, or of the path where `where` says so."""

    name: str
    schema: Mapping[str, Any]
    help: str
    is_required: bool = False
    where: str = "query"


class Reply(msgspec.Struct, frozen=True):
    """A reply: what it says, and its body by media type; none has no body."""

    help: str
    media: Mapping[str, Schema] = {}


class Operation(msgspec.Struct, frozen=True):
    """What an address does for one method. `body` is by media type. `summary` is for those whose row serves several methods.

    `asks_store`: whether the store can be what stands against a reply (503).
    """

    path: str
    method: str
    tag: str
    replies: Mapping[int, Reply]
    parameters: Sequence[Parameter] = ()
    body: Mapping[str, Schema] = {}
    summary: str = ""
    asks_store: bool = True


#: The replies to who may not, by what a caller needs.
_REFUSALS: Mapping[Needs, Mapping[int, str]] = {
    Needs.NOTHING: {},
    Needs.READ: {401: "the caller may not read the site's numbers"},
    Needs.COUNTER: {401: "the caller may not see the site's counters"},
    Needs.WRITE: {401: "no token came along", 403: "the token may not write the site"},
    Needs.ADMIN: {401: "no token and no login was sent", 403: "the caller is not an admin"},
    Needs.METRICS: {401: "the request comes from elsewhere, without the token"},
}

_ANYONE: Mapping[str, Sequence[str]] = {}
_TOKEN, _SESSION, _SHARE = "token", "session", "share"

_SECURITY: Mapping[Needs, Sequence[Mapping[str, Sequence[str]]]] = {
    Needs.NOTHING: [_ANYONE],
    Needs.READ: [_ANYONE, {_TOKEN: []}, {_SESSION: []}, {_SHARE: []}],
    Needs.COUNTER: [_ANYONE, {_TOKEN: []}, {_SESSION: []}, {_SHARE: []}],
    Needs.WRITE: [{_TOKEN: []}, {_SESSION: []}],
    Needs.ADMIN: [{_TOKEN: []}, {_SESSION: []}],
    Needs.METRICS: [_ANYONE, {_TOKEN: []}],
}

_SCHEMES: Mapping[str, Mapping[str, str]] = {
    _TOKEN: {"type": "http", "scheme": "bearer", "description": "A token, made by an admin; docs/access.md."},
    _SESSION: {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE, "description": "A log-in, by the page /login."},
    _SHARE: {"type": "apiKey", "in": "cookie", "name": SHARE_COOKIE, "description": "A share link that was opened."},
}

_ABOUT = (
    "Counts page views, exact to the second. Times are Unix seconds (UTC) by the clock of the store. Errors are of the type "
    "`application/problem+json` (RFC 9457); their `detail` begins with the parameter at fault and says how to fix the request."
)


def make_document(operations: Iterable[Operation], enclosed: Sequence[type] = ()) -> dict[str, Any]:
    """The document of all operations, and of `enclosed`: types that are named otherwise than as a whole body.

    Raises KeyError for an operation whose path and method no row of the route table has.
    """
    rows = {(row.path, method): row for row in ROUTES for method in row.methods or ("GET", "POST")}
    operations = tuple(operations)
    types = [schema for operation in operations for schema in _schemas(operation) if not isinstance(schema, dict)]
    made, components = msgspec.json.schema_components([*types, *enclosed, Problem, Rules], ref_template=_REF)
    schemas = dict(zip(types, made, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        row = rows[operation.path, operation.method]
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, row, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Footfall", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {name: _tidy(schema) for name, schema in sorted((components | _rule_changes(components)).items())},
            "securitySchemes": _SCHEMES,
        },
    }


def _schemas(operation: Operation) -> Iterator[Schema]:
    for reply in operation.replies.values():
        yield from reply.media.values()
    yield from operation.body.values()


def _described(operation: Operation, row: Row, schemas: Mapping[Schema, Any]) -> dict[str, Any]:
    """An operation as the document has it."""

    def content(media: Mapping[str, Schema]) -> dict[str, Any]:
        return {kind: {"schema": _schema(schema, schemas)} for kind, schema in media.items()}

    variables = [_VARIABLES[name] for name in _VARIABLE.findall(operation.path)]
    replies = dict(operation.replies)
    for status, help in _added(operation, row, has_variables=bool(variables)).items():
        found = replies.get(status, Reply(help))
        replies[status] = Reply(found.help, {**found.media, PROBLEM_TYPE: {"$ref": _REF.format(name="Problem")}})
    described: dict[str, Any] = {
        "tags": [operation.tag],
        "summary": operation.summary or row.help,
        "operationId": f"{operation.method.lower()}_{re.sub('[^a-z0-9]+', '_', operation.path.lower()).strip('_') or 'home'}",
        "security": [dict(each) for each in _SECURITY[row.needs]],
        "responses": {
            str(status): {"description": reply.help} | ({"content": content(reply.media)} if reply.media else {})
            for status, reply in sorted(replies.items())
        },
    }
    if variables or operation.parameters:
        described["parameters"] = [
            {"name": one.name, "in": one.where, "description": one.help, "required": one.is_required, "schema": dict(one.schema)}
            for one in (*variables, *operation.parameters)
        ]
    if operation.body:
        described["requestBody"] = {"required": True, "content": content(operation.body)}
    return described


def _added(operation: Operation, row: Row, *, has_variables: bool) -> Mapping[int, str]:
    """The errors that follow from what an operation takes and whom it answers."""
    added: dict[int, str] = dict(_REFUSALS[row.needs])
    if operation.parameters or operation.body:
        added[400] = "a parameter or the body can't be read"
    if has_variables:
        added[404] = "there is nothing at this address"
    if operation.asks_store:
        added[503] = "the store does not answer, or the server is stopping; `Retry-After` says when to try again"
    return added


def _schema(schema: Schema, schemas: Mapping[Schema, Any]) -> Any:
    return schema if isinstance(schema, dict) else schemas[schema]


def _rule_changes(components: Mapping[str, Any]) -> dict[str, Any]:
    """Bodies that name some of a site's rules, null for the settings' own."""
    rules = {
        name: {"anyOf": [{key: value for key, value in rule.items() if key != "default"}, {"type": "null"}]}
        for name, rule in components[Rules.__name__]["properties"].items()
    }
    shape = {"type": "object", "additionalProperties": False}
    site = {"type": "string", "description": "The site's name, as in example.com."}
    return {
        "RuleChanges": {"description": "Rules to change; null gives one back to the settings.", **shape, "properties": rules},
        "NewSite": {
            "description": "A site, and its rules where they differ from the settings'.",
            **shape,
            "properties": {"site": site, **rules},
            "required": ["site"],
        },
    }


def _tidy(schema: Any) -> Any:
    """A schema as most readers understand it: a pair of one type is a list of two, and a description is one line."""
    if isinstance(schema, list):
        return [_tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {name: _tidy(each) for name, each in schema.items()}
    parts = tidy.get("prefixItems", [])
    if parts and all(part == parts[0] for part in parts):  # its length is bounded beside it
        del tidy["prefixItems"]
        tidy["items"] = parts[0]
    if isinstance(tidy.get("description"), str):
        tidy["description"] = re.sub(r"\s+", " ", tidy["description"]).strip()
    return tidy


def _path_variable(name: str, help: str, **schema: Any) -> Parameter:
    return Parameter(name, {"type": "string", **schema}, help, True, "path")


_VARIABLES: Mapping[str, Parameter] = {
    "site": _path_variable("site", "the site's name, as in example.com", pattern="^[A-Za-z0-9.-]+(:[0-9]{1,5})?$"),
    "dimension": _path_variable("dimension", "what is known of a visit", enum=[one.name for one in DIMENSIONS]),
    "secret": _path_variable("secret", "the link's secret", pattern="^[A-Za-z0-9_.-]+$"),
    "name": _path_variable("name", "the file's name", pattern="^[A-Za-z0-9_.-]+$"),
}
