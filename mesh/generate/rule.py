"""Where `buf/validate/validate.proto` comes from, which requests write their rules with: out of protovalidate.

Its wheel has the file as a descriptor only, neither as a proto nor as Python for Google's protobuf. So protoc reads the
descriptor, and the Python is generated beside that of the protos that import it. A copy of the user's own comes first.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from mesh.generate.source import Source

NAME: Final = "buf/validate/validate.proto"
_IMPORT: Final = re.compile(
    rb'^\s*import\s+(?:public\s+)?"' + re.escape(NAME.encode()) + rb'"\s*;', re.MULTILINE
)


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What protoc is given to resolve the import."""

    descriptors: bytes
    """An encoded FileDescriptorSet."""
    generated: bool
    """Whether what is generated imports it."""


def find(
    sources: Sequence[Source], folders: Sequence[Path], includes: Sequence[Path]
) -> tuple[Rules | None, list[str]]:
    """Return what protoc needs, None if nothing; and what is wrong."""
    importing = [source.file for source in sources if _IMPORT.search(source.file.read_bytes())]
    if any((folder / NAME).is_file() for folder in (*folders, *includes)) or not (importing or includes):
        return None, []
    if importlib.util.find_spec("protovalidate") is None:
        return None, [
            f"{file}: {NAME} comes with protovalidate: pip install 'grpc-mesh[validation]'"
            for file in importing
        ]
    return Rules(descriptors(), bool(importing)), []


def descriptors() -> bytes:
    """Return the installed protovalidate's file as an encoded FileDescriptorSet."""
    import protovalidate

    file = FileDescriptorProto.FromString(protovalidate.ViolationPb.desc().file.proto.to_binary())
    encoded: bytes = FileDescriptorSet(file=[file]).SerializeToString()
    return encoded
