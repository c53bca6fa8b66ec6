"""A MessageSet, whose members are extensions only, travels like any extendable message."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format

from gateway.codec import Codec
from gateway.problem import RequestProblem


def outer():
    file = descriptor_pb2.FileDescriptorProto(name="set.proto", package="set", syntax="proto2")
    group = file.message_type.add(name="Set")
    group.options.message_set_wire_format = True
    group.extension_range.add(start=4, end=2**31 - 1)
    member = file.message_type.add(name="Member")
    member.field.add(name="count", number=1, type=5, label=1)
    member.extension.add(
        name="extension", number=1000, type=11, label=1, type_name=".set.Member", extendee=".set.Set"
    )
    holder = file.message_type.add(name="Outer")
    holder.field.add(name="set", number=1, type=11, label=1, type_name=".set.Set")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return Codec(pool.FindMessageTypeByName("set.Outer"))


@pytest.mark.parametrize("name", ["set.Member.extension", "set.Member"])
def test_a_member_is_read_by_either_name_and_printed_by_its_own(name):
    codec = outer()
    pool = codec.descriptor.file.pool
    text = f'{{"set":{{"[{name}]":{{"count":5}}}}}}'
    message = codec.decode(text.encode())
    assert json_format.Parse(text, codec.message_class(), descriptor_pool=pool) == message
    assert b'{"set":{"[set.Member.extension]":{"count":5}}}' == codec.encode(message)
    assert codec.encode(message) == codec.encode_wire(codec.decode_wire(text.encode()))


def test_a_member_by_both_names_is_given_twice():
    text = b'{"set":{"[set.Member.extension]":{"count":5},"[set.Member]":{}}}'
    with pytest.raises(
        RequestProblem, match=r'given twice, as "\[set\.Member\.extension\]" and "\[set\.Member\]"'
    ):
        outer().decode(text)
