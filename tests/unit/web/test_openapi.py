"""The OpenAPI document has every address that is served, and holds together; the page of it shows all of that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from footfall.web.api.docs import page_of, type_words
from footfall.web.api.openapi import make_document
from footfall.web.api.operations import API, ENCLOSED
from footfall.web.problems import PROBLEM_TYPE
from footfall.web.rendering import Renderer
from footfall.web.routes import FOR_PEOPLE, ROUTES, Needs

#: Rows whose handler decides about methods itself, and count or stream with these.
DECIDED = {"/count": {"GET", "POST"}, "/count.gif": {"GET", "POST"}}

PROGRAMS = [row for row in ROUTES if row.path not in FOR_PEOPLE]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document, as its readers get it."""
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(make_document(API, ENCLOSED)))
    return made


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(path, method, operation)"""
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            yield path, method.upper(), one


def values(schema: object, key: str) -> Iterator[Any]:
    """What stands behind a key, however deep."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name == key:
                yield value
            yield from values(value, key)
    elif isinstance(schema, list):
        for value in schema:
            yield from values(value, key)


def test_it_has_every_row_for_programs_and_no_other(document: dict[str, Any]) -> None:
    """An address that is added is documented, for each of its methods, or this fails: give it a row in web/api/operations.py."""
    served = {(row.path, method) for row in PROGRAMS for method in row.methods or DECIDED.get(row.path, {"GET"})}
    assert {(path, method) for path, method, _ in operations(document)} == served
    assert len(API) == len(served)
    assert {row.path for row in ROUTES} >= FOR_PEOPLE


def test_it_holds_together(document: dict[str, Any]) -> None:
    """Whatever is referred to is there, whatever is there is referred to; names are given once."""
    schemas = document["components"]["schemas"]
    referred = {ref.rpartition("/")[2] for ref in values(document, "$ref")}
    assert referred <= schemas.keys()
    assert schemas.keys() - referred == {"Event"}  # it stands in a stream
    ids = [one["operationId"] for _, _, one in operations(document)]
    assert len(ids) == len(set(ids))
    assert {name for one in values(document, "security") for way in one for name in way} == document["components"][
        "securitySchemes"
    ].keys()


def test_a_path_s_variables_are_its_parameters(document: dict[str, Any]) -> None:
    """All of them, and needed; no parameter is there twice."""
    for path, _, one in operations(document):
        found = [(each["name"], each["in"]) for each in one.get("parameters", ())]
        assert sorted(name for name, where in found if where == "path") == sorted(re.findall(r"\{(\w+)\}", path))
        assert len(found) == len(set(found))
        assert all(each["required"] for each in one.get("parameters", ()) if each["in"] == "path")


def test_who_may_not_is_told_so_by_a_documented_problem(document: dict[str, Any]) -> None:
    """Where something is needed, a program without it gets 401 as a problem, whose type is RFC 9457's."""
    for row in PROGRAMS:
        for method in row.methods or ["GET"]:
            one = document["paths"][row.path][method.lower()]
            if row.needs is not Needs.NOTHING:
                assert PROBLEM_TYPE in one["responses"]["401"]["content"]
            assert (one["security"] == [{}]) == (row.needs is Needs.NOTHING)
    assert set(document["components"]["schemas"]["Problem"]["required"]) == {"title", "detail", "status"}


def test_rules_that_change_a_site_are_those_it_has(document: dict[str, Any]) -> None:
    """Each can be null, and none is needed but the name of a new site."""
    schemas = document["components"]["schemas"]
    assert schemas["RuleChanges"]["properties"].keys() == schemas["Rules"]["properties"].keys()
    assert schemas["NewSite"]["required"] == ["site"]
    assert all({"type": "null"} in rule["anyOf"] for rule in schemas["RuleChanges"]["properties"].values())


def test_the_page_shows_all_of_it(document: dict[str, Any]) -> None:
    """Every operation and type has its place, every link leads to one, and nothing is loaded from elsewhere."""
    page = Renderer().render("docs.html", **page_of(document)).decode()
    places = set(re.findall(r'id="([^"]+)"', page))
    assert {one["operationId"] for _, _, one in operations(document)} <= places
    assert {f"type-{name}" for name in document["components"]["schemas"]} <= places
    assert set(re.findall(r'href="#([^"]+)"', page)) <= places
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/components/schemas/PageRow"}, "PageRow"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/PageRow"}}, "list of PageRow"),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False}, "[integer, string]"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}, "[integer, integer]"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"type": "integer", "minimum": 1, "maximum": 1000}, "integer, 1 to 1,000"),
        ({"enum": ["24h", "7d"]}, "24h | 7d"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "object of integer"),
        ({}, "anything"),
    ],
)
def test_a_schema_is_put_into_words(schema: dict[str, Any], words: str) -> None:
    """As short as its reader can bear."""
    assert type_words(schema) == words
