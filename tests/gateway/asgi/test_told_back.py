"""What a service is told, and how its answer is written, through a whole gateway: the service answers with the request."""

from __future__ import annotations

import json
from typing import Any

import grpc
import grpc.aio
import pytest

from gateway.app import Gateway
from gateway.load import Source, load
from mesh.config.edge import Json
from mesh.config.spec import Gateway as Settings
from tests.gateway.asgi.client import call
from tests.protoc import service_set

PROTO = """
enum Colour { COLOUR_UNSPECIFIED = 0; RED = 1; }
message User { string name = 1; string display_name = 2; optional int32 age = 3; Colour colour = 4; }
message UpdateUser { User user = 1; google.protobuf.FieldMask update_mask = 2; }
service S {
  rpc Update(UpdateUser) returns (UpdateUser) {
    option (google.api.http) = { patch: "/v1/{user.name=users/*}" body: "user" };
  }
  rpc Put(User) returns (User) { option (google.api.http) = { put: "/v1/users" body: "*" }; }
}
"""


@pytest.fixture
async def echo():
    """The address of a server whose methods answer with the request's bytes."""

    async def answer(request: bytes, _: Any) -> bytes:
        return request

    server = grpc.aio.server()
    handlers = {name: grpc.unary_unary_rpc_method_handler(answer) for name in ("Update", "Put")}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.v1.S", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
async def serve(echo, tmp_path):
    """Opens a gateway with JSON settings of the test's."""
    descriptors = tmp_path / "s.binpb"
    descriptors.write_bytes(service_set(PROTO))
    made: list[Gateway] = []

    async def build(**settings: bool) -> Gateway:
        chosen = Settings(access_log=False, json=Json(**settings))
        gateway = Gateway(await load(Source(backend=echo, descriptors=(str(descriptors),), settings=chosen)))
        gateway.open()
        made.append(gateway)
        return gateway

    yield build
    for gateway in made:
        await gateway.close()


async def send(app: Gateway, method: str, target: str, body: Any, content_type: str = "application/json"):
    data = json.dumps(body).encode()
    headers = [("content-type", content_type), ("content-length", str(len(data)))]
    return await call(app, method, target, headers=headers, body=data)


@pytest.mark.parametrize(
    ("target", "content_type", "body", "user", "mask"),
    [
        pytest.param(
            "/v1/users/7", "application/json", {"displayName": "A"}, {"displayName": "A"}, "displayName",
            id="the mask is what the body has",
        ),
        pytest.param(
            "/v1/users/7", "application/json", {"displayName": "", "age": 0}, {"age": 0}, "displayName,age",
            id="a default is a change",
        ),
        pytest.param(
            "/v1/users/7", "application/merge-patch+json", {"age": None, "displayName": "A"}, {"displayName": "A"},
            "age,displayName", id="a merge patch removes by null",
        ),
        pytest.param(
            "/v1/users/7?updateMask=age", "application/json", {"displayName": "A"}, {"displayName": "A"}, "age",
            id="the client's own mask wins",
        ),
    ],
)  # fmt: skip
async def test_a_patch_tells_the_service_what_it_changes(serve, target, content_type, body, user, mask):
    response = await send(await serve(), "PATCH", target, body, content_type)

    assert (response.status, response.json) == (
        200,
        {"user": {"name": "users/7", **user}, "updateMask": mask},
    )


SENT = {"display_name": "A", "colour": 1}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"displayName": "A", "colour": "RED"}),
        ({"proto_names": True}, {"display_name": "A", "colour": "RED"}),
        ({"enum_numbers": True}, {"displayName": "A", "colour": 1}),
        ({"emit_defaults": True}, {"name": "", "displayName": "A", "colour": "RED"}),
    ],
    ids=lambda value: ",".join(value) or "defaults",
)
async def test_answers_are_written_as_the_settings_have_it(serve, settings, expected):
    response = await send(await serve(**settings), "PUT", "/v1/users", SENT)

    assert (response.status, response.json) == (200, expected)


@pytest.mark.parametrize(("ignored", "status"), [(False, 400), (True, 200)])
async def test_unknown_fields_are_refused_or_skipped(serve, ignored, status):
    app = await serve(ignore_unknown=ignored)

    response = await send(app, "PUT", "/v1/users", {"nmae": "A"})

    assert response.status == status
    assert ignored or "nmae" in response.body.decode()
