"""The forms an error has, and the headers it comes with."""

from __future__ import annotations

import pytest

from gateway.render.error import Errors, challenges, wants_problem
from mesh.call import Outcome
from tests.gateway.asgi.client import call

PROBLEM = "application/problem+json"


async def test_who_asks_for_a_problem_gets_one(app):
    headers = [("accept", f"application/json;q=0.5, {PROBLEM}"), ("x-request-id", "id 1/2")]
    response = await call(app, "GET", "/v1/books/missing", headers=headers)
    assert (response.status, response.headers["content-type"]) == (404, PROBLEM)
    details = response.json["details"]
    assert response.json == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "no such book",
        "instance": "urn:request:id%201%2F2",
        "code": 5,
        "details": details,
    }
    assert details[0]["@type"] == "type.googleapis.com/google.rpc.ResourceInfo"


async def test_the_operator_may_have_problems_for_everybody(make):
    app = await make(problem_details=True)
    for method, target, status, title in (
        ("GET", "/nothing", 404, "Not Found"),
        ("DELETE", "/openapi.json", 405, "Method Not Allowed"),
        ("GET", "/v1/books/one?colour=red", 400, "Bad Request"),
        ("GET", "/v1/books/crash", 500, "Internal Server Error"),
        ("GET", "/v1/books/01", 499, "Client Closed Request"),
    ):
        response = await call(app, method, target)
        assert (response.status, response.headers["content-type"]) == (status, PROBLEM)
        assert (response.json["status"], response.json["title"]) == (status, title)


ACCEPT = [
    # rule, Accept, whether it asks
    ("named", PROBLEM, True),
    ("named in capitals", "Application/Problem+JSON", True),
    ("among others", f"text/html, {PROBLEM};q=0.1", True),
    ("a range that covers it", "application/*, */*", False),
    ("refused", f"{PROBLEM};q=0", False),
    ("refused at length", f"{PROBLEM}; charset=utf-8; q=0.000", False),
    ("another type that begins alike", f"{PROBLEM}x", False),
    ("nothing", "", False),
]


@pytest.mark.parametrize(("accept", "asks"), [row[1:] for row in ACCEPT], ids=[row[0] for row in ACCEPT])
def test_accept(accept, asks):
    assert wants_problem([(b"accept", accept.encode())]) is asks


@pytest.mark.parametrize("target", ["/v1/books/missing", "/nothing", "/v1/books/one?x=1", "/v1/../x"])
async def test_errors_are_not_kept(app, target):
    assert (await call(app, "GET", target)).headers["cache-control"] == "no-store"


async def test_a_401_has_a_challenge(app):
    # RFC 9110, 11.6.1: a 401 "MUST" have one.
    response = await call(app, "GET", "/v1/books/16")
    assert (response.status, response.headers["www-authenticate"]) == (401, 'Bearer realm="API"')


async def test_a_backends_own_challenge_is_handed_on(app, make):
    listed = await make(return_headers=("www-authenticate",))
    for gateway in (app, listed):
        response = await call(gateway, "GET", "/v1/books/locked")
        assert (response.status, response.headers["www-authenticate"]) == (401, 'Basic realm="library"')


def test_a_challenge_is_text():
    assert challenges((("www-authenticate", b"\x00"),), beside=[]) == []


class Sent:
    """As much of an exchange as an error is written to."""

    def __init__(self):
        self.scope = {"headers": []}
        self.code, self.error, self.request_id, self.closing = 0, "", "r", False

    async def reply(self, status, headers, body):
        self.status, self.headers = status, dict(headers)


@pytest.mark.parametrize(
    ("stage", "code", "said"),
    [
        ("circuit_breaker", 14, b"1"),
        ("client_concurrency", 8, b"1"),
        ("message_limit", 8, None),
        ("", 14, None),
    ],
)
async def test_refusals_of_our_own_that_pass_say_when_to_come_back(stage, code, said):
    sent = Sent()
    await Errors(lambda _: None, Returned()).outcome(sent, Outcome(code, "no", rejected_by=stage))
    assert sent.headers.get(b"retry-after") == said


class Returned:
    """Hands nothing back."""

    def read(self, _):
        return []


async def test_a_realm_is_quoted():
    sent = Sent()
    errors = Errors(lambda _: None, Returned(), realm='a "b" \\c\xe9\n')
    await errors.outcome(sent, Outcome(16, "no"))
    assert sent.headers[b"www-authenticate"] == b'Bearer realm="a \\"b\\" \\\\c"'
