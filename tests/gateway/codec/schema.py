"""The test protos in a descriptor pool of their own, as the gateway would have them from a descriptor set."""

import pathlib

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import GetMessageClass

from tests.protoc import compile_protos

HERE = pathlib.Path(__file__).parent / "proto"


FILES = descriptor_pb2.FileDescriptorSet.FromString(compile_protos(HERE)).file
WELL_KNOWN = [file for file in FILES if file.package == "google.protobuf"]


def compile_pool():
    pool = descriptor_pool.DescriptorPool()
    for file in FILES:
        pool.Add(file)
    return pool


POOL = compile_pool()
MESSAGES = [
    f"codec.{name}"
    for name in (
        "three.Scalars",
        "three.Lists",
        "three.Maps",
        "three.Presence",
        "three.Tree",
        "three.WellKnown",
        "three.Names",
        "two.Old",
        "edition.Modern",
    )
]


def descriptor(name):
    return POOL.FindMessageTypeByName(name)


def message(name, /, **fields):
    return GetMessageClass(descriptor(name))(**fields)
