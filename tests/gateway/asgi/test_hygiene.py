"""What of a request's head is refused, believed or handed on; each row names its rule."""

from __future__ import annotations

import pytest

from tests.gateway.asgi.client import Request, call

ECHO = "/library.v1.LibraryService/Echo"
BOOK = "/v1/books/one"

REFUSED = [
    # rule, method, target, headers, status, part of the message
    ("RFC 3986, 6.2.2.3: dot segments", "GET", "/v1/books/../one", [], 400, 'has a segment "." or ".."'),
    ("RFC 3986, 2.3: %2E is a dot", "GET", "/v1/books/%2e%2E", [], 400, 'has a segment "." or ".."'),
    ("a NUL ends the path for others", "GET", "/v1/books/a%00", [], 400, "NUL"),
    ("a backslash is a slash for others", "GET", "/v1/books/a\\b", [], 400, "%5C"),
    ("RFC 9112, 3.2.1: origin-form", "GET", "v1/books", [], 400, 'does not begin with "/"'),
    ("RFC 9112, 3.2.4: * is for OPTIONS", "GET", "*", [], 400, 'does not begin with "/"'),
    ("RFC 9110, 15.5.15: too long", "GET", "/" + "a" * 8192, [], 414, "has 8193 bytes, and the limit is 8192"),
    ("RFC 9110, 15.5.15: the query counts", "GET", "/a?b=" + "c" * 8192, [], 414, "and the limit is 8192"),
    ("RFC 9110, 7.2: Host is a host", "GET", BOOK, [("host", "a b")], 400, 'header host: "a b" is not'),
    ("RFC 9110, 4.2.4: no user information", "GET", BOOK, [("host", "u:p@x")], 400, "header host"),
    ("RFC 9112, 3.2: one Host", "GET", BOOK, [("host", "x"), ("host", "x")], 400, "header host: is required, once"),
    ("RFC 9110, 7.6.1: what is for everybody is not the connection's", "GET", BOOK,
     [("connection", "close, content-length")], 400, '"content-length" is not about the connection'),
    ("a client takes nothing away that a proxy has said", "GET", BOOK,
     [("connection", "X-Forwarded-For")], 400, '"x-forwarded-for" is not about the connection'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "target", "headers", "status", "message"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
async def test_what_is_refused(app, method, target, headers, status, message):
    host = not any(name == "host" for name, _ in headers)
    response = await call(app, method, target, headers=headers, host=host)
    assert response.status == status
    assert message in response.json["message"]
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_two_hosts_are_refused_in_http_2_as_well(app):
    request = Request("GET", BOOK, version="2", headers=[("host", "y")])
    assert (await request.run(app)).status == 400


async def test_asterisk_form(app):
    # RFC 9110, 9.3.7: "An OPTIONS request with an asterisk ("*") as the request target [...] applies to the server in
    # general".
    response = await call(app, "OPTIONS", "*")
    assert (response.status, response.body, "content-length" in response.headers) == (204, b"", False)


async def test_what_the_connection_has_for_its_own_goes_no_further(make):
    app = await make(forward_headers=("x-one", "x-two"))
    headers = [("connection", "keep-alive, X-One"), ("x-one", "1"), ("x-two", "2")]
    response = await call(app, "POST", ECHO, {}, headers=headers)
    assert "x-one" not in response.json["entries"]
    assert response.json["entries"]["x-two"] == "2"


async def test_backends_are_told_of_the_caller_what_is_believed(make):
    listed = ("x-*", "forwarded")
    made_up = [
        ("x-forwarded-for", "1.1.1.1, 203.0.113.9"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "1.1.1.1"),
    ]
    response = await call(await make(forward_headers=listed), "POST", ECHO, {}, headers=made_up)
    told = response.json["entries"]
    assert (told["x-forwarded-for"], told["x-real-ip"]) == ("192.0.2.1", "192.0.2.1")
    assert (told["x-forwarded-proto"], told["x-forwarded-host"]) == ("http", "test")
    assert told["forwarded"] == 'for=192.0.2.1;proto=http;host="test"'
    app = await make(forward_headers=listed, trusted_proxies=("192.0.2.0/24",))
    response = await call(app, "POST", ECHO, {}, headers=made_up)
    told = response.json["entries"]
    assert (told["x-forwarded-for"], told["x-real-ip"]) == ("203.0.113.9, 192.0.2.1", "203.0.113.9")
    assert told["x-forwarded-proto"] == "https"


async def test_by_default_backends_are_told_nothing_of_the_caller(app):
    response = await call(
        app, "POST", ECHO, {}, headers=[("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=1.1.1.1")]
    )
    assert not {"x-forwarded-for", "forwarded", "x-real-ip"} & set(response.json["entries"])


async def test_a_trusted_proxy_that_contradicts_itself_is_refused(make):
    app = await make(trusted_proxies=("192.0.2.0/24",))
    headers = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.8")]
    response = await call(app, "GET", BOOK, headers=headers)
    assert (response.status, "different clients" in response.json["message"]) == (400, True)


async def test_security_headers(app, make):
    for target in (
        BOOK,
        "/v1/books/one/cover",
        "/docs",
        "/healthz",
        "/v1/books?count=1",
        "/v1/books/missing",
    ):
        response = await call(app, "GET", target)
        assert response.headers["x-content-type-options"] == "nosniff", target
        # RFC 6797, 7.2: not over plain HTTP.
        assert "strict-transport-security" not in response.headers
    response = await call(await make(security_headers=False), "GET", BOOK)
    assert "x-content-type-options" not in response.headers


async def test_clients_that_came_by_tls_are_told_to_stay_with_it(make):
    app = await make(trusted_proxies=("192.0.2.1",))
    response = await call(app, "GET", BOOK, headers=[("x-forwarded-proto", "https")])
    assert response.headers["strict-transport-security"] == "max-age=31536000"
    assert response.headers["x-content-type-options"] == "nosniff"
    response = await call(app, "GET", BOOK)
    assert "strict-transport-security" not in response.headers
    app = await make(security_headers=False, trusted_proxies=("192.0.2.1",))
    response = await call(app, "GET", BOOK, headers=[("x-forwarded-proto", "https")])
    assert "strict-transport-security" not in response.headers


async def test_a_method_is_overridden_only_where_the_operator_allows_it(app, make):
    headers = [("x-http-method-override", "PUT")]
    listed = await make(method_override=True)
    replaced = await call(listed, "POST", "/v1/books/one", {"title": "new"}, headers=headers)
    plain = await call(app, "POST", "/v1/books/one", {"title": "new"}, headers=headers)
    assert (replaced.status, plain.status) == (200, 405)
    response = await call(listed, "POST", "/v1/books/one", {}, headers=[("x-http-method-override", "GET")])
    assert (response.status, '"GET" is not PUT, PATCH or DELETE' in response.json["message"]) == (400, True)
