"""How a schema is asked of a live server."""

from __future__ import annotations

import contextlib

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from gateway.schema.pool import read_set
from gateway.schema.reflection import read_server
from tests.protoc import PREAMBLE, descriptor_set, message_class

V1 = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
V1ALPHA = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

FILES = descriptor_set(
    far='syntax = "proto3"; package far.v1; message Far { string name = 1; }',
    near='syntax = "proto3"; package near.v1; import "far.proto"; message Near { far.v1.Far far = 1; }',
    test=PREAMBLE
    + """
    import "near.proto";
    service S { rpc X(near.v1.Near) returns (near.v1.Near) { option (google.api.http) = { get: "/v1/x" }; } }
    service T { rpc X(near.v1.Near) returns (near.v1.Near); }
    """,
)


class Answers(grpc.GenericRpcHandler):
    """A reflection service that answers at will, under any name."""

    def __init__(self, method, answer):
        self.method = method
        self.answer = answer

    def service(self, details):
        if details.method != self.method:
            return None
        return grpc.stream_stream_rpc_method_handler(
            self.serve,
            request_deserializer=ServerReflectionRequest.FromString,
            response_serializer=ServerReflectionResponse.SerializeToString,
        )

    async def serve(self, requests, context):
        async for request in requests:
            yield self.answer(request)


def one_file_at_a_time(request):
    """The least a server may do: it answers with the file asked for, and leaves its imports to be asked for."""
    files = {file.name: file for file in FileDescriptorSet.FromString(FILES).file}
    response = ServerReflectionResponse()
    kind = request.WhichOneof("message_request")
    wanted = "test.proto" if kind == "file_containing_symbol" else request.file_by_filename
    if kind == "list_services":
        for name in ("t.v1.T", "t.v1.S"):
            response.list_services_response.service.add(name=name)
    elif wanted not in files or wanted.startswith("google/"):
        response.error_response.error_code = grpc.StatusCode.NOT_FOUND.value[0]
        response.error_response.error_message = "not here"
    else:
        response.file_descriptor_response.file_descriptor_proto.append(files[wanted].SerializeToString())
    return response


@contextlib.asynccontextmanager
async def serving(*handlers, prepare=None):
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers)
    if prepare:
        prepare(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


def names(schema):
    return [service.full_name for service in schema.services]


@pytest.mark.parametrize("method", [V1, V1ALPHA])
async def test_either_version_is_read_and_imports_are_followed(method):
    async with serving(Answers(method, one_file_at_a_time)) as channel:
        schema, problems = await read_server(channel)
    assert problems == ()
    assert names(schema) == ["t.v1.S", "t.v1.T"]
    near = message_class(schema, "near.v1.Near")
    assert near(far={"name": "x"}).far.name == "x"


async def test_named_services_alone_are_exposed():
    async with serving(Answers(V1, one_file_at_a_time)) as channel:
        schema, problems = await read_server(channel, ["t.v1.T"])
    assert (names(schema), problems) == (["t.v1.T"], ())


async def test_the_reflection_service_of_grpc_python_is_understood():
    schema, _ = read_set(FILES)
    services = ("t.v1.S", reflection.SERVICE_NAME)

    def prepare(server):
        reflection.enable_server_reflection(services, server, pool=schema.pool)

    async with serving(prepare=prepare) as channel:
        found, problems = await read_server(channel)
    # The file declares a service T too, which this server does not serve.
    assert (names(found), problems) == (["t.v1.S"], ())


async def test_a_server_without_reflection_is_a_problem():
    async with serving() as channel:
        schema, problems = await read_server(channel)
    assert schema.services == ()
    assert [str(problem) for problem in problems] == [
        "reflection: the server does not offer reflection (grpc.reflection.v1 or v1alpha)"
    ]


async def test_a_server_that_cannot_be_reached_is_a_problem():
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        _, problems = await read_server(channel, timeout=5)
    assert str(problems[0]).startswith("reflection: server reflection failed: UNAVAILABLE: ")


async def test_an_unknown_service_is_a_problem_in_the_servers_words():
    def answer(request):
        response = ServerReflectionResponse()
        response.error_response.error_message = "never heard of it"
        return response

    async with serving(Answers(V1, answer)) as channel:
        _, problems = await read_server(channel, ["t.v1.Z"])
    assert [str(problem) for problem in problems] == [
        'reflection: "t.v1.Z": the server answered "never heard of it"',
        "t.v1.Z: no such service in the schema",
    ]


async def test_an_import_that_the_server_withholds_is_a_problem():
    def answer(request):
        if request.file_by_filename == "far.proto":
            response = ServerReflectionResponse()
            response.error_response.error_message = "gone"
            return response
        return one_file_at_a_time(request)

    async with serving(Answers(V1, answer)) as channel:
        _, problems = await read_server(channel)
    assert 'near.proto: imports "far.proto", which the descriptor set lacks' in [
        str(problem) for problem in problems
    ]


async def test_a_stream_that_ends_too_soon_is_a_problem():
    class Silent(Answers):
        async def serve(self, requests, context):
            return
            yield

    async with serving(Silent(V1, None)) as channel:
        _, problems = await read_server(channel)
    assert str(problems[0]) == 'reflection: "list of services": the server ended the stream'


class Broken(Answers):
    """Fails every call."""

    def __init__(self):
        super().__init__(V1, one_file_at_a_time)

    async def serve(self, requests, context):
        await context.abort(grpc.StatusCode.INTERNAL, "out of order")
        yield


async def test_a_server_that_fails_is_a_problem_in_its_words():
    async with serving(Broken()) as channel:
        _, problems = await read_server(channel)
    assert [str(problem) for problem in problems] == [
        "reflection: server reflection failed: INTERNAL: out of order"
    ]
