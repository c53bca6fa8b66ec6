"""Descriptor sets of the protos that tests bring along, as users would have them."""

from __future__ import annotations

import pathlib
import tempfile
import textwrap

import grpc_tools
from google.api import annotations_pb2
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc

from gateway.schema.pool import Schema
from mesh.generate import rule

ROOT = pathlib.Path(__file__).parents[1]
_FOLDERS = (
    ROOT / "protos",
    pathlib.Path(grpc_tools.__file__).parent / "_proto",
    # site-packages, where the google/api protos of googleapis-common-protos lie.
    pathlib.Path(annotations_pb2.__file__).parents[2],
)

PREAMBLE = """
syntax = "proto3";
package t.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/httpbody.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
"""


def compile_protos(folder: pathlib.Path, *, imports: bool = True) -> bytes:
    """Compile every proto in a folder into an encoded FileDescriptorSet with source info."""
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.proto"))
    with tempfile.NamedTemporaryFile(suffix=".binpb") as output, tempfile.NamedTemporaryFile() as rules:
        rules.write(rule.descriptors())
        rules.flush()
        arguments = [f"--descriptor_set_in={rules.name}"]
        arguments += [f"-I{place}" for place in (folder, *_FOLDERS)]
        arguments += [f"--descriptor_set_out={output.name}", "--include_source_info"]
        arguments += ["--include_imports"] if imports else []
        assert protoc.main(["protoc", *arguments, *files]) == 0
        return output.read()


def descriptor_set(*, imports: bool = True, **files: str) -> bytes:
    """Compile files, `name="text"` for name.proto."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (pathlib.Path(folder) / f"{name}.proto").write_text(textwrap.dedent(text))
        return compile_protos(pathlib.Path(folder), imports=imports)


def service_set(body: str, **options: bool) -> bytes:
    """Compile one file: the preamble and what follows it."""
    return descriptor_set(test=PREAMBLE + textwrap.dedent(body), **options)


def message_class(schema: Schema, name: str) -> type[Message]:
    """Return the class of a message of a schema, by its full name."""
    return GetMessageClass(schema.pool.FindMessageTypeByName(name))
