"""A gRPC server that gives back what it is given: whatever the document says may be sent is fine with it."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.api import field_behavior_pb2
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.codec.shape import map_entry
from gateway.schema.json_schema import behaviors_of, is_required
from gateway.schema.pool import read_set
from tests.protoc import compile_protos

HERE = pathlib.Path(__file__).parent
SERVICE = "things.v1.ThingService"


def write_descriptors(folder: pathlib.Path) -> pathlib.Path:
    file = folder / "things.binpb"
    file.write_bytes(compile_protos(HERE))
    return file


def start(descriptors: pathlib.Path) -> tuple[grpc.Server, str]:
    """Start the server; return it and its address."""
    schema, problems = read_set(descriptors.read_bytes())
    assert not problems
    service = schema.pool.FindServiceByName(SERVICE)
    server = grpc.server(ThreadPoolExecutor(8))
    handlers = {method.name: _handler(method) for method in service.methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"


def _handler(method: Any) -> Any:
    reads: Any = GetMessageClass(method.input_type)
    answer: Any = GetMessageClass(method.output_type)

    def respond(request: Any, context: grpc.ServicerContext) -> bytes:
        if missing := _missing(request):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{missing} is required")
        return _public(_answer(request, answer)).SerializeToString()

    def unary(request: Any, context: grpc.ServicerContext) -> bytes:
        if method.name == "Fail":
            code = next((code for code in grpc.StatusCode if code.value[0] == request.failure), None)
            if code not in {None, grpc.StatusCode.OK}:
                context.abort(code, "as you wish")
        return respond(request, context)

    def server_stream(request: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield respond(request, context)
        yield respond(request, context)

    def client_stream(requests: Iterator[Any], context: grpc.ServicerContext) -> bytes:
        return respond([reads(), *requests][-1], context)

    def both(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[bytes]:
        # All are read first: a write that meets the end of its call is INTERNAL to grpc, whatever the call ended with.
        for request in list(requests):
            yield respond(request, context)

    makers = {
        (False, False): (grpc.unary_unary_rpc_method_handler, unary),
        (False, True): (grpc.unary_stream_rpc_method_handler, server_stream),
        (True, False): (grpc.stream_unary_rpc_method_handler, client_stream),
        (True, True): (grpc.stream_stream_rpc_method_handler, both),
    }
    make, handle = makers[method.client_streaming, method.server_streaming]
    return make(handle, request_deserializer=reads.FromString)


def _answer(request: Any, answer: Any) -> Any:
    """Return the request if it is an answer, or that of its fields that is one, or what can be said of it."""
    name = answer.DESCRIPTOR.full_name
    if request.DESCRIPTOR.full_name == name:
        return request
    for field in request.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.full_name == name:
            held = getattr(request, field.name)
            if not _missing(held):
                return held
    if name == "things.v1.Thing":
        return answer(id=request.name, ratio=float("nan"), precise=float("-inf"), i64=-(2**63))
    if name == "things.v1.Part":
        return answer(title="untitled")
    if name == "things.v1.Picture":
        return answer(content_type=request.picture.content_type, size=len(request.picture.data))
    if name == "google.api.HttpBody":
        return answer(content_type="image/png", data=b"\x89PNG")
    return answer()


def _missing(message: Message) -> str:
    """Return a field that must be given and is not."""
    given = dict(message.ListFields())
    for field in message.DESCRIPTOR.fields:
        if is_required(field) and field not in given:
            return field.full_name
        if field in given and field.message_type is not None:
            held: Any = given[field]
            entry = map_entry(field)
            if entry is not None:
                held = held.values() if entry[1].message_type is not None else ()
            for one in [held] if not field.is_repeated else held:
                if missing := _missing(one):
                    return missing
    return ""


def _public(message: Message) -> Message:
    """Return the message without what is only for requests."""
    for field, value in message.ListFields():
        if field_behavior_pb2.INPUT_ONLY in behaviors_of(field):
            message.ClearField(field.name)
        elif isinstance(value, Message):
            _public(value)
    return message
