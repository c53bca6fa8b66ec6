"""Each rule of what breaks clients, tried in both directions: what is added is no break."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from gateway.blueprint import Blueprint
from gateway.load import Source, compile_backend
from gateway.schema.breaking import compare
from gateway.schema.pool import read_set
from mesh.config.edge import Json
from mesh.config.spec import Gateway as Settings
from tests.protoc import service_set

PARTS = {
    "route": 'get: "/v1/books/{id}"',
    "method": "rpc GetBook(GetBookRequest) returns (Book)",
    "more": "",
    "request": "string id = 1; int32 revision = 2;",
    "book": "string title = 1; Genre genre = 2; Page page = 3; repeated string tags = 4;",
    "genre": "GENRE_UNSPECIFIED = 0; GENRE_CRIME = 1;",
    "types": "",
}
UNUSED = 'rpc Spare(Book) returns (Book) { option (google.api.http) = { post: "/v1/spare" body: "*" }; }'


@functools.cache
def descriptors(parts: tuple[tuple[str, str], ...]) -> bytes:
    text = {**PARTS, **dict(parts)}
    return service_set(f"""
        service Books {{
          {text["method"]} {{ option (google.api.http) = {{ {text["route"]} }}; }}
          {text["more"]}
        }}
        message GetBookRequest {{ {text["request"]} }}
        message Book {{ {text["book"]} }}
        message Page {{ string text = 1; Book appendix = 2; }}
        enum Genre {{ {text["genre"]} }}
        {text["types"]}
    """)


def blueprint(settings: Settings | None = None, **parts: str) -> Blueprint:
    source = Source(backend="127.0.0.1:1", settings=settings or Settings())
    return compile_backend(source, read_set(descriptors(tuple(parts.items()))))


BOOK = PARTS["book"]
REQUEST = PARTS["request"]
ROUTE = 'get: "/v1/{name=books/*}"'
NAMED = {"request": "string name = 1; Book book = 2; bool dry = 3;", "route": ROUTE}

# What it was, what it is, what breaks; then what breaks on the way back, which is nothing where the way forth only takes away.
Row = tuple[dict[str, str], dict[str, str], list[str], list[str]]
ROWS: dict[str, Row] = {
    "nothing changed": ({}, {}, [], []),
    "a method is taken away, and its routes with it": (
        {"more": UNUSED},
        {},
        ['t.v1.Books.Spare: is not served any more, nor is "POST /v1/spare"'],
        [],
    ),
    "a route is taken away": (
        {"route": 'get: "/v1/books/{id}" additional_bindings { get: "/v2/books/{id}" }'},
        {},
        ["GET /v2/books/{id}: is gone; it reached t.v1.Books.GetBook"],
        [],
    ),
    "a route has another HTTP method": (
        {},
        {"route": 'post: "/v1/books/{id}"'},
        ["GET /v1/books/{id}: is gone; it reached t.v1.Books.GetBook"],
        ["POST /v1/books/{id}: is gone; it reached t.v1.Books.GetBook"],
    ),
    "any method is one method": (
        {"route": 'custom { kind: "*" path: "/v1/books/{id}" }'},
        {},
        ["* /v1/books/{id}: is gone; it reached t.v1.Books.GetBook"],
        [],
    ),
    "a template is narrower": (
        {"route": 'get: "/v1/{id=books/**}"'},
        {"route": 'get: "/v1/{id=books/*}"'},
        ["GET /v1/{id=books/**}: is gone; it reached t.v1.Books.GetBook"],
        [],
    ),
    "a template has no verb any more": (
        {"route": 'get: "/v1/books/{id}:read"'},
        {"route": 'get: "/v1/books/{id}/read"'},
        ["GET /v1/books/{id}:read: is gone; it reached t.v1.Books.GetBook"],
        ["GET /v1/books/{id}/read: is gone; it reached t.v1.Books.GetBook"],
    ),
    "the path binds another field": (
        {"request": "string id = 1; string key = 2;"},
        {"request": "string id = 1; string key = 2;", "route": 'get: "/v1/books/{key}"'},
        ['GET /v1/books/{id}: the query no longer takes "key"'],
        ['GET /v1/books/{key}: the query no longer takes "id"'],
    ),
    "a route reaches another method": (
        {"more": UNUSED},
        {
            "route": 'post: "/v1/spare" body: "*" additional_bindings { get: "/v1/books/{id}" }',
            "more": UNUSED.replace("/v1/spare", "/v1/other"),
        },
        ["POST /v1/spare: reaches t.v1.Books.GetBook, reached t.v1.Books.Spare"],
        [
            "POST /v1/spare: reaches t.v1.Books.Spare, reached t.v1.Books.GetBook",
            "POST /v1/other: is gone; it reached t.v1.Books.Spare",
        ],
    ),
    "the body is another field": (
        {**NAMED, "route": f'{ROUTE.replace("get", "post")} body: "book"'},
        {**NAMED, "route": f'{ROUTE.replace("get", "post")} body: "*"'},
        [
            'POST /v1/{name=books/*}: the body was "book", is "*"',
            'POST /v1/{name=books/*}: the query no longer takes "dry"',
        ],
        ['POST /v1/{name=books/*}: the body was "*", is "book"'],
    ),
    "the body is not read": (
        {**NAMED, "route": f'{ROUTE.replace("get", "post")} body: "*"'},
        {**NAMED, "route": ROUTE.replace("get", "post")},
        ['POST /v1/{name=books/*}: the body was "*", is not read'],
        ['POST /v1/{name=books/*}: the query no longer takes "book", "dry"'],
    ),
    "the response's body is a field": (
        {},
        {"route": 'get: "/v1/books/{id}" response_body: "page"'},
        ['GET /v1/books/{id}: the response\'s body was the whole message, is "page"'],
        ['GET /v1/books/{id}: the response\'s body was "page", is the whole message'],
    ),
    "responses stream": (
        {},
        {"method": "rpc GetBook(GetBookRequest) returns (stream Book)"},
        ["t.v1.Books.GetBook: was unary, is server-streaming"],
        ["t.v1.Books.GetBook: was server-streaming, is unary"],
    ),
    "requests stream": (
        {},
        {"method": "rpc GetBook(stream GetBookRequest) returns (Book)"},
        ["t.v1.Books.GetBook: was unary, is client-streaming"],
        ["t.v1.Books.GetBook: was client-streaming, is unary"],
    ),
    "another request type": (
        {"types": "message Ask { string id = 1; int32 revision = 2; }"},
        {
            "types": "message Ask { string id = 1; int32 revision = 2; }",
            "method": "rpc GetBook(Ask) returns (Book)",
        },
        ["t.v1.Books.GetBook: its requests were t.v1.GetBookRequest, are t.v1.Ask"],
        ["t.v1.Books.GetBook: its requests were t.v1.Ask, are t.v1.GetBookRequest"],
    ),
    "another response type": (
        {},
        {"method": "rpc GetBook(GetBookRequest) returns (Page)"},
        ["t.v1.Books.GetBook: its responses were t.v1.Book, are t.v1.Page"],
        ["t.v1.Books.GetBook: its responses were t.v1.Page, are t.v1.Book"],
    ),
    "a field is taken away": (
        {"book": f"{BOOK} int32 weight = 5;"},
        {},
        ["t.v1.Book.weight: is gone"],
        [],
    ),
    "a field is renumbered": (
        {},
        {"book": BOOK.replace("title = 1", "title = 9")},
        ["t.v1.Book.title: its number was 1, is 9"],
        ["t.v1.Book.title: its number was 9, is 1"],
    ),
    "a field is renamed": (
        {},
        {"book": BOOK.replace("title", "heading")},
        ['t.v1.Book.title: was named "title", is "heading"'],
        ['t.v1.Book.heading: was named "heading", is "title"'],
    ),
    "a field has another JSON name": (
        {},
        {"book": BOOK.replace("title = 1", 'title = 1 [json_name = "heading"]')},
        ['t.v1.Book.title: its JSON name was "title", is "heading"'],
        ['t.v1.Book.title: its JSON name was "heading", is "title"'],
    ),
    "a field has another scalar type": (
        {},
        {"request": REQUEST.replace("int32", "int64")},
        ["t.v1.GetBookRequest.revision: its type was int32, is int64"],
        ["t.v1.GetBookRequest.revision: its type was int64, is int32"],
    ),
    "a field has another message type": (
        {"types": "message Leaf { string text = 1; }"},
        {"types": "message Leaf { string text = 1; }", "book": BOOK.replace("Page page", "Leaf page")},
        ["t.v1.Book.page: its type was message t.v1.Page, is message t.v1.Leaf"],
        ["t.v1.Book.page: its type was message t.v1.Leaf, is message t.v1.Page"],
    ),
    "an enum is a number": (
        {},
        {"book": BOOK.replace("Genre genre", "int32 genre")},
        ["t.v1.Book.genre: its type was enum t.v1.Genre, is int32"],
        ["t.v1.Book.genre: its type was int32, is enum t.v1.Genre"],
    ),
    "a map has other values": (
        {"book": f"{BOOK} map<string, int32> counts = 5;"},
        {"book": f"{BOOK} map<string, string> counts = 5;"},
        ["t.v1.Book.counts: its type was map<string, int32>, is map<string, string>"],
        ["t.v1.Book.counts: its type was map<string, string>, is map<string, int32>"],
    ),
    "a list is one value": (
        {},
        {"book": BOOK.replace("repeated ", "")},
        ["t.v1.Book.tags: was a list, is one value"],
        ["t.v1.Book.tags: was one value, is a list"],
    ),
    "a map is a list": (
        {"book": f"{BOOK} map<string, string> counts = 5;"},
        {"book": f"{BOOK} repeated Page counts = 5;"},
        ["t.v1.Book.counts: was a map, is a list"],
        ["t.v1.Book.counts: was a list, is a map"],
    ),
    "presence is lost": (
        {"book": BOOK.replace("string title", "optional string title")},
        {},
        ["t.v1.Book.title: was optional: its default value cannot be told from none any more"],
        [],
    ),
    "a field joins another in a oneof": (
        {"book": "string title = 1; string plot = 2;"},
        {"book": "oneof text { string title = 1; string plot = 2; }"},
        [
            't.v1.Book.title: is in the oneof "text" now',
            't.v1.Book.plot: is in the oneof "text" now',
        ],
        [
            't.v1.Book.title: is not in the oneof "text" any more',
            't.v1.Book.plot: is not in the oneof "text" any more',
        ],
    ),
    "a field changes its oneof": (
        {"book": "oneof a { string x = 1; string y = 2; } oneof b { string z = 3; }"},
        {"book": "oneof a { string x = 1; } oneof b { string y = 2; string z = 3; }"},
        [
            "t.v1.Book.x: is in a oneof with others of before: y",
            "t.v1.Book.y: is in a oneof with others of before: x, z",
            "t.v1.Book.z: is in a oneof with others of before: y",
        ],
        [
            "t.v1.Book.x: is in a oneof with others of before: y",
            "t.v1.Book.y: is in a oneof with others of before: x, z",
            "t.v1.Book.z: is in a oneof with others of before: y",
        ],
    ),
    "a oneof loses a member, and its name": (
        {"book": "oneof a { string x = 1; string y = 2; }"},
        {"book": "oneof b { string x = 1; }"},
        ["t.v1.Book.y: is gone"],
        [],
    ),
    "an enum value is taken away": (
        {"genre": f"{PARTS['genre']} GENRE_DRAMA = 2;"},
        {},
        ["t.v1.Genre.GENRE_DRAMA: is gone"],
        [],
    ),
    "an enum value is renamed": (
        {},
        {"genre": PARTS["genre"].replace("CRIME", "NOIR")},
        ['t.v1.Genre.GENRE_CRIME: is named "GENRE_NOIR" now'],
        ['t.v1.Genre.GENRE_NOIR: is named "GENRE_CRIME" now'],
    ),
    "an enum value is renumbered": (
        {},
        {"genre": PARTS["genre"].replace("CRIME = 1", "CRIME = 3")},
        ["t.v1.Genre.GENRE_CRIME: its number was 1, is 3"],
        ["t.v1.Genre.GENRE_CRIME: its number was 3, is 1"],
    ),
    "a field must be given": (
        {},
        {"request": REQUEST.replace("revision = 2", "revision = 2 [(google.api.field_behavior) = REQUIRED]")},
        ["t.v1.GetBookRequest.revision: is required in requests now"],
        [],
    ),
    "a new field must be given": (
        {},
        {"request": f"{REQUEST} string key = 3 [(google.api.field_behavior) = REQUIRED];"},
        ["t.v1.GetBookRequest.key: is new, and required in requests"],
        ["t.v1.GetBookRequest.key: is gone"],
    ),
    "what is required in responses alone is no burden": (
        {"book": BOOK.replace("title = 1", "title = 1 [(google.api.field_behavior) = REQUIRED]")},
        {},
        [],
        [],
    ),
    "what no method reaches may change": (
        {"types": "message Lost { string a = 1; } enum Odd { NONE = 0; ONE = 1; }"},
        {"types": "message Lost { int32 b = 2; }"},
        [],
        [],
    ),
    "a type that holds itself is compared once": (
        {"types": "message Loop { Loop next = 1; string x = 2; }", "book": f"{BOOK} Loop loop = 5;"},
        {"types": "message Loop { Loop next = 1; }", "book": f"{BOOK} Loop loop = 5;"},
        ["t.v1.Loop.x: is gone"],
        [],
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_each_rule_both_ways(row: Row) -> None:
    old, new = blueprint(**row[0]), blueprint(**row[1])
    assert [str(problem) for problem in compare(old, new)] == row[2]
    assert [str(problem) for problem in compare(new, old)] == row[3]


def test_presence_that_is_gained_shows_where_defaults_are_printed() -> None:
    settings = Settings(json=Json(emit_defaults=True))
    optional = BOOK.replace("string title", "optional string title")
    found = compare(blueprint(settings), blueprint(settings, book=optional))
    assert [str(problem) for problem in found] == [
        "t.v1.Book.title: is optional now: responses without it no longer show its default value"
    ]


def proto2(fields: str) -> Any:
    """Return what is served of a message of proto2, asked for and answered."""
    from tests.protoc import descriptor_set

    data = descriptor_set(
        old=f"""
        syntax = "proto2"; package o.v1;
        service Echo {{ rpc Say(Word) returns (Answer); }}
        message Word {{ {fields} }}
        message Answer {{ {fields} }}
        """
    )
    return compile_backend(Source(backend="127.0.0.1:1"), read_set(data))


def test_required_of_proto2_binds_both_sides() -> None:
    free, bound = proto2("optional string a = 1;"), proto2("required string a = 1;")
    assert [str(one) for one in compare(free, bound)] == ["o.v1.Word.a: is required in requests now"]
    assert [str(one) for one in compare(bound, free)] == [
        "o.v1.Answer.a: is not required in responses any more"
    ]
    new = proto2("optional string a = 1; required string b = 2;")
    assert [str(one) for one in compare(free, new)] == ["o.v1.Word.b: is new, and required in requests"]
