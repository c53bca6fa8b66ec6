"""A service whose requests have `buf.validate` rules, in descriptors of its own."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

import mesh
from mesh.binding.runtime import Runtime
from tests.policy.test_table import table
from tests.protoc import descriptor_set

SERVICE = "ruled.v1.Orders"
PLACE, CHAT, COUNT, BROKEN, UPLOAD = (
    f"/{SERVICE}/{name}" for name in ("Place", "Chat", "Count", "Broken", "Upload")
)

PROTO = """
syntax = "proto3";
package ruled.v1;
import "buf/validate/validate.proto";
import "google/api/annotations.proto";
service Orders {
  rpc Place(Order) returns (Receipt) { option (google.api.http) = {post: "/orders" body: "*"}; }
  rpc Chat(stream Order) returns (stream Receipt);
  rpc Upload(stream Order) returns (Receipt);
  rpc Count(Receipt) returns (Receipt);
  rpc Broken(Wrong) returns (Receipt);
}
message Order {
  string buyer = 1 [(buf.validate.field).string.min_len = 2];
  repeated Item items = 2;
  map<string, Item> gifts = 3;
  map<int32, Item> numbered = 4;
  Order replaces = 5;
}
message Item {
  option (buf.validate.message).cel = {
    id: "item.cheap", message: "a free item is no item", expression: "this.price != 0 || this.sku == ''"
  };
  string sku = 1 [(buf.validate.field).string.max_len = 8];
  int32 price = 2;
}
message Receipt { string id = 1; }
message Wrong { string name = 1 [(buf.validate.field).cel = {id: "wrong", expression: "this +"}]; }
message Choice { oneof one { option (buf.validate.oneof).required = true; string a = 1; } }
"""


@functools.cache
def encoded() -> bytes:
    return descriptor_set(ruled=PROTO)


@functools.cache
def pool() -> descriptor_pool.DescriptorPool:
    made = descriptor_pool.DescriptorPool()
    for file in FileDescriptorSet.FromString(encoded()).file:
        made.AddSerializedFile(file.SerializeToString())
    return made


def message(name: str) -> type[Message]:
    return GetMessageClass(pool().FindMessageTypeByName(f"ruled.v1.{name}"))


class Orders:
    """The service: it counts what passes validation."""

    def __init__(self) -> None:
        self.placed = 0
        self.address = ""

    async def place(self, request: Any, context: Any) -> Any:
        self.placed += 1
        return message("Receipt")(id=request.buyer)

    async def upload(self, requests: Any, context: Any) -> Any:
        async for _ in requests:
            self.placed += 1
        return message("Receipt")()

    def add_to(self, server: Any, *names: str) -> None:
        order, receipt = message("Order"), message("Receipt")
        options = {
            "request_deserializer": order.FromString,
            "response_serializer": receipt.SerializeToString,
        }
        handlers = {
            "Place": grpc.unary_unary_rpc_method_handler(self.place, **options),
            "Upload": grpc.stream_unary_rpc_method_handler(self.upload, **options),
            "Broken": grpc.unary_unary_rpc_method_handler(self.place, **options),
        }
        kept = {name: handlers[name] for name in names or ("Place", "Upload")}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, kept),))
        server.add_registered_method_handlers(SERVICE, kept)


@contextlib.asynccontextmanager
async def orders(*names: str) -> AsyncIterator[tuple[Orders, grpc.aio.Channel]]:
    """Serve with validation on; `names` are the methods, by default those whose rules are right."""
    using = Runtime(policies=table("{defaults: {validation: {enabled: true}}}", pool()))
    node = mesh.server("orders", listen="127.0.0.1:0", using=using, lame_duck=0.0)
    service = Orders()
    service.add_to(node, *names)
    service.address = await node.start()
    try:
        async with grpc.aio.insecure_channel(service.address) as channel:
            yield service, channel
    finally:
        await node.stop()
