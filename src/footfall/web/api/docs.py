"""`/openapi.json` and `/docs`: the interface for programs and for people, both made from the same document.

The page is rendered here, from our own files and without scripts. Both are made once, when first asked for, and are the same for
everyone: nothing here knows a site or a caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from footfall.web.dashboard.pages import Pages
from footfall.web.problems import PROBLEM_TYPE
from footfall.web.rendering import Renderer
from footfall.web.replies import json_reply

#: What a caller needs, by the ways in that an operation names; `openapi.py` has them.
_NEEDS: Mapping[tuple[str, ...], str] = {
    ("",): "",
    ("", "token", "session", "share"): "where the site is not public: a token, a log-in or a share link",
    ("token", "session"): "a token or a log-in",
    ("", "token"): "from elsewhere: a token",
}

#: What is for programs comes before what is for people.
_TAGS = ("Counting", "Reading", "Counters", "Managing", "Service")


class Docs:
    """Answers for both."""

    def __init__(self, renderer: Renderer, pages: Pages) -> None:
        self._renderer = renderer
        self._pages = pages

    async def openapi(self, _: Request) -> Response:
        """`GET /openapi.json`."""
        return json_reply(self._json)

    async def page(self, request: Request) -> Response:
        """`GET /docs`."""
        return Response(self._page, 200, self._pages.headers(request), "text/html; charset=utf-8")

    @cached_property
    def _document(self) -> dict[str, Any]:
        # Only where somebody asks for it: a server that counts starts sooner without it.
        from footfall.web.api.openapi import make_document
        from footfall.web.api.operations import API, ENCLOSED

        return make_document(API, ENCLOSED)

    @cached_property
    def _json(self) -> bytes:
        return msgspec.json.encode(self._document)

    @cached_property
    def _page(self) -> bytes:
        return self._renderer.render("docs.html", **page_of(self._document))


def page_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the page shows of a document: its parts with their operations, and the types."""
    operations = [_operation(path, method, one) for path, methods in document["paths"].items() for method, one in methods.items()]
    parts = [(tag, [one for one in operations if one["tag"] == tag]) for tag in _TAGS]
    types = [
        {
            "name": name,
            "help": schema.get("description", ""),
            "fields": [
                (field, type_words(shape), "" if field in schema.get("required", ()) else "optional")
                for field, shape in schema.get("properties", {}).items()
            ],
            "values": schema.get("enum", []),
        }
        for name, schema in document["components"]["schemas"].items()
    ]
    return {"title": document["info"]["title"], "version": document["info"]["version"], "parts": parts, "types": types}


def _operation(path: str, method: str, one: Mapping[str, Any]) -> Mapping[str, Any]:
    ways = tuple(next(iter(each), "") for each in one["security"])
    return {
        "id": one["operationId"],
        "tag": one["tags"][0],
        "method": method.upper(),
        "path": path,
        "summary": one["summary"][0].upper() + one["summary"][1:],
        "needs": _NEEDS[ways],
        "parameters": [
            (each["name"], type_words(each["schema"]), each["description"], each["required"])
            for each in one.get("parameters", ())
        ],
        "body": _media(one.get("requestBody", {})),
        "replies": [
            (status, reply["description"], _media(reply))
            for status, reply in one["responses"].items()
            if PROBLEM_TYPE not in reply.get("content", {}) or len(reply["content"]) > 1
        ],
        "problems": [status for status, reply in one["responses"].items() if PROBLEM_TYPE in reply.get("content", {})],
    }


def _media(holder: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(kind, type_words(each["schema"])) for kind, each in holder.get("content", {}).items() if kind != PROBLEM_TYPE]


def type_words(schema: Mapping[str, Any]) -> str:
    """A schema in words; a type that stands in the document by itself is called by its name."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(type_words(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    kind = schema.get("type", "anything")
    if kind == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(type_words(each) for each in schema['prefixItems'])}]"
        if schema.get("maxItems") is not None and schema.get("minItems") == schema["maxItems"]:
            return f"[{', '.join([type_words(schema.get('items', {}))] * schema['maxItems'])}]"
        return f"list of {type_words(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_words(schema['additionalProperties'])}"
    if kind == "object" and "properties" in schema:
        return f"form of {', '.join(schema['properties'])}"
    if "minimum" in schema and "maximum" in schema:
        return f"{kind}, {schema['minimum']:,} to {schema['maximum']:,}"
    return str(kind)
