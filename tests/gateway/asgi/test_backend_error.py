"""A backend's failure becomes the mapped HTTP status and one JSON shape, typed details included."""

from __future__ import annotations

import grpc
import pytest

from mesh.call import CODE_NAMES
from tests.gateway.asgi.backend import Backend
from tests.gateway.asgi.client import call

# google/rpc/code.proto: "HTTP Mapping".
MAPPING = {
    1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 13: 500,
    14: 503, 15: 500, 16: 401,
}  # fmt: skip


@pytest.mark.parametrize("code", MAPPING, ids=lambda code: CODE_NAMES[code])
async def test_every_status_has_its_http_status(app, code):
    index = [status.value[0] for status in grpc.StatusCode].index(code)
    response = await call(app, "GET", f"/v1/books/{index:02d}")
    assert response.status == MAPPING[code]
    assert response.json == {"code": code, "message": f"code {index}", "details": []}


async def test_known_details_are_typed(app):
    response = await call(app, "GET", "/v1/books/missing")
    assert response.status == 404
    assert response.json == {
        "code": 5,
        "message": "no such book",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ResourceInfo",
                "resourceType": "book",
                "resourceName": "missing",
            }
        ],
    }


async def test_the_schemas_own_details_are_typed(app):
    response = await call(app, "GET", "/v1/books/odd")
    assert response.json["details"] == [{"@type": "type.googleapis.com/library.v1.Shelf", "name": "top"}]


async def test_retry_info_becomes_retry_after(app):
    response = await call(app, "GET", "/v1/books/busy")
    assert (response.status, response.headers["retry-after"]) == (429, "3")
    assert response.json["details"][0]["retryDelay"] == "2.000000001s"


async def test_an_exception_of_the_backend_is_not_shown(app):
    response = await call(app, "GET", "/v1/books/crash")
    assert (response.status, response.json["message"]) == (500, "the service behind this method failed")
    assert "secret" not in response.body.decode()


async def test_a_backend_that_is_down_is_unavailable_within_the_deadline(make, descriptors):
    gone = Backend(descriptors)
    await gone.start()
    app = await make(gone.address, request_timeout=2.0)
    await gone.stop()
    response = await call(app, "GET", "/v1/books/one")
    assert (response.status, response.json) == (
        503,
        {"code": 14, "message": "the service behind this method cannot be reached", "details": []},
    )


async def test_a_slow_backend_is_cut_off_at_the_clients_timeout(app, backend):
    for header in (("grpc-timeout", "80m"), ("request-timeout", "0.08")):
        response = await call(app, "GET", "/v1/books/held", headers=[header])
        assert (response.status, response.json["code"]) == (504, 4)


async def test_no_client_may_wait_longer_than_the_gateway_allows(make):
    app = await make(request_timeout=0.08)
    assert (await call(app, "GET", "/v1/books/held", headers=[("grpc-timeout", "1H")])).status == 504
    assert (await call(app, "GET", "/v1/desks/held")).status == 504


async def test_the_backend_sees_the_deadline(app):
    response = await call(
        app, "POST", "/library.v1.LibraryService/Echo", {}, headers=[("grpc-timeout", "2S")]
    )
    assert 1.0 < response.json["remaining"] <= 2.1
    response = await call(app, "POST", "/library.v1.LibraryService/Echo", {})
    assert 14.0 < response.json["remaining"] <= 15.2  # gRPC's core rounds up


@pytest.mark.parametrize("target", ["/v1/books/held", "/v1/desks/held"], ids=["one rpc", "composed"])
async def test_hurried_clients_do_not_close_a_method_to_the_others(app, backend, target):
    for _ in range(25):
        response = await call(app, "GET", target, headers=[("grpc-timeout", "2m")])
        assert response.status == 504
    assert (await call(app, "GET", target.replace("held", "one"))).status == 200


async def test_a_backend_that_hangs_is_not_called_for_ever(make, backend):
    app = await make(request_timeout=0.005)
    statuses = [(await call(app, "GET", "/v1/books/held")).status for _ in range(12)]
    assert statuses == [504] * 10 + [503] * 2
