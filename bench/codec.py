"""Compare the compiled JSON codec with google.protobuf.json_format: CPU per message, both ways, small and large.

The contenders take turns, round by round, so that a busy machine slows both; the median round is reported.
"""

import functools
import statistics
import time

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, timestamp_pb2
from google.protobuf.message_factory import GetMessageClass

from gateway.codec import Codec

F = descriptor_pb2.FieldDescriptorProto
BUDGET = 3.0
ROUNDS = 41
ROUND_TIME = 0.01


def field(number, name, kind, *, repeated=False, message=""):
    label = F.LABEL_REPEATED if repeated else F.LABEL_OPTIONAL
    return F(name=name, number=number, type=kind, label=label, type_name=message or None)


def order_class():
    item = descriptor_pb2.DescriptorProto(name="Item")
    item.field.extend(
        [
            field(1, "sku", F.TYPE_STRING),
            field(2, "quantity", F.TYPE_INT32),
            field(3, "unit_price", F.TYPE_INT64),
            field(4, "gift_wrapped", F.TYPE_BOOL),
        ]
    )
    order = descriptor_pb2.DescriptorProto(name="Order")
    order.field.extend(
        [
            field(1, "order_id", F.TYPE_STRING),
            field(2, "customer_name", F.TYPE_STRING),
            field(3, "total", F.TYPE_DOUBLE),
            field(4, "created", F.TYPE_MESSAGE, message=".google.protobuf.Timestamp"),
            field(5, "state", F.TYPE_ENUM, message=".bench.State"),
            field(6, "items", F.TYPE_MESSAGE, repeated=True, message=".bench.Item"),
            field(7, "tags", F.TYPE_STRING, repeated=True),
            field(8, "note", F.TYPE_STRING),
            field(9, "loyalty_points", F.TYPE_UINT32),
        ]
    )
    file = descriptor_pb2.FileDescriptorProto(
        name="bench.proto", package="bench", syntax="proto3", message_type=[item, order]
    )
    file.dependency.append("google/protobuf/timestamp.proto")
    state = file.enum_type.add(name="State")
    for number, name in enumerate(("STATE_UNSPECIFIED", "OPEN", "PAID", "SHIPPED")):
        state.value.add(name=name, number=number)
    pool = descriptor_pool.DescriptorPool()
    timestamp = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(timestamp)
    pool.Add(timestamp)
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("bench.Order"))


def small(order):
    """About 220 bytes on the wire: one nested message, the rest scalars."""
    message = order(
        order_id="9f1c1f4e-3f0f-4b6e-9c6a-0a4be2d1a001",
        customer_name="Ada Lovelace",
        total=1234.5,
        state=2,
        note="Please leave the parcel with the neighbour at number 12 if nobody answers the door; the bell is broken.",
        loyalty_points=90210,
        tags=["fragile", "express", "gift"],
    )
    message.created.seconds = 1_760_000_000
    message.items.add(sku="sku-000001", quantity=2, unit_price=1999, gift_wrapped=True)
    return message


def large(order):
    """About 500 bytes on the wire: 20 nested items."""
    message = order(order_id="order-1", customer_name="Ada Lovelace", total=1234.5, state=1, tags=["express"])
    message.created.seconds = 1_760_000_000
    for index in range(20):
        message.items.add(sku=f"sku-{index:010d}", quantity=index + 1, unit_price=1999 + index)
    return message


def cpu(call, repeat):
    start = time.process_time()
    for _ in range(repeat):
        call()
    return (time.process_time() - start) / repeat


def compare(ours, oracle):
    """Return the median CPU seconds of both, measured in turns."""
    contenders = (ours, oracle)
    repeats = [max(1, int(ROUND_TIME / cpu(call, 20))) for call in contenders]
    rounds = [
        [cpu(call, repeat) for call, repeat in zip(contenders, repeats, strict=True)] for _ in range(ROUNDS)
    ]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def main():
    order = order_class()
    codec = Codec(order.DESCRIPTOR)
    print(f"{'message':<22}{'direction':<18}{'ours us':>9}{'json_format us':>16}{'ratio':>8}")
    for name, message in (("small", small(order)), ("large", large(order))):
        wire = message.SerializeToString()
        text = codec.encode(message)
        directions = {
            "message -> JSON": (codec.encode, json_format.MessageToJson, message),
            "JSON -> message": (codec.decode, lambda data: json_format.Parse(data, order()), text),
            "wire -> JSON": (
                codec.encode_wire,
                lambda data: json_format.MessageToJson(order.FromString(data)),
                wire,
            ),
            "JSON -> wire": (
                codec.decode_wire,
                lambda data: json_format.Parse(data, order()).SerializeToString(),
                text,
            ),
        }
        for direction, (ours, oracle, argument) in directions.items():
            mine, theirs = compare(functools.partial(ours, argument), functools.partial(oracle, argument))
            print(
                f"{f'{name}, {len(wire)} B':<22}{direction:<18}{mine * 1e6:>9.1f}{theirs * 1e6:>16.1f}"
                f"{theirs / mine:>7.1f}x"
            )
    print(f"budget: at least {BUDGET:.0f}x")


if __name__ == "__main__":
    main()
