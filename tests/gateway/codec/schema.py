"""The test protos in a descriptor pool of their own, as the gateway would have them from a descriptor set."""

import importlib.resources
import pathlib
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc

HERE = pathlib.Path(__file__).parent / "proto"


def compile_pool():
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "set.binpb"
        include = importlib.resources.files("grpc_tools") / "_proto"
        files = sorted(str(path) for path in HERE.glob("*.proto"))
        arguments = [
            "protoc",
            f"-I{HERE}",
            f"-I{include}",
            "--include_imports",
            f"--descriptor_set_out={out}",
        ]
        assert protoc.main([*arguments, *files]) == 0
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    pool = descriptor_pool.DescriptorPool()
    for file in files:
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
