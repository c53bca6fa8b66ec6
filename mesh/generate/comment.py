"""The comments of the protos that come with grpc-mesh, which generated modules do not carry."""

from __future__ import annotations

import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from mesh.generate.source import builtin


def read(*names: str) -> list[FileDescriptorProto]:
    """Return these protos and what they import, with source information; nothing without grpcio-tools."""
    try:
        from grpc_tools import protoc
    except ModuleNotFoundError:
        return []
    with tempfile.TemporaryDirectory(prefix="mesh-comments-") as name:
        work = Path(name)
        builtin().link(work / "include")
        standard = Path(protoc.__file__).parent / "_proto"
        output = work / "descriptors"
        protoc.main(
            [
                *("protoc", f"--proto_path={work / 'include'}", f"--proto_path={standard}"),
                *(f"--descriptor_set_out={output}", "--include_imports", "--include_source_info"),
                *names,
            ]
        )
        return list(FileDescriptorSet.FromString(output.read_bytes()).file)
