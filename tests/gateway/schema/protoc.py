"""Descriptor sets from proto text, for tests."""

from __future__ import annotations

import pathlib
import tempfile
import textwrap

import grpc_tools
from google.api import annotations_pb2
from grpc_tools import protoc

# site-packages, where the google/api protos of googleapis-common-protos lie.
_INSTALLED = pathlib.Path(annotations_pb2.__file__).parents[2]
_WELL_KNOWN = pathlib.Path(grpc_tools.__file__).parent / "_proto"

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


def descriptor_set(*, imports: bool = True, **files: str) -> bytes:
    """Compile files, `name="text"` for name.proto, into an encoded FileDescriptorSet with source info."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / f"{name}.proto").write_text(textwrap.dedent(text))
        output = root / "set.binpb"
        arguments = [
            "protoc",
            f"-I{folder}",
            f"-I{_INSTALLED}",
            f"-I{_WELL_KNOWN}",
            f"--descriptor_set_out={output}",
        ]
        arguments += ["--include_source_info", *(["--include_imports"] if imports else [])]
        assert protoc.main([*arguments, *(f"{name}.proto" for name in files)]) == 0
        return output.read_bytes()


def service_set(body: str, **options: bool) -> bytes:
    """Compile one file: the preamble and what follows it."""
    return descriptor_set(test=PREAMBLE + textwrap.dedent(body), **options)
