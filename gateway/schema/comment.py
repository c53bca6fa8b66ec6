"""Decides which comments of a proto file describe which element: the source info, keyed by full name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

# Field numbers of google/protobuf/descriptor.proto, of which SourceCodeInfo.Location.path is made: "Each
# element is a field number or an index. They form a path from the root FileDescriptorProto to the place where
# the definition occurs."
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_MESSAGE_FIELD, _MESSAGE_NESTED, _MESSAGE_ENUM, _MESSAGE_ONEOF = 2, 3, 4, 8
_ENUM_VALUE, _SERVICE_METHOD = 2, 2

Path = tuple[int, ...]


def read(files: Iterable[FileDescriptorProto]) -> Mapping[str, str]:
    """Return the comments by full name of element; an enum value's is under its enum's name.

    Files without source info, such as those of generated modules and most reflection servers, have none.
    """
    comments: dict[str, str] = {}
    for file in files:
        names: dict[Path, str] = dict(_names(file))
        for location in file.source_code_info.location:
            name = names.get(tuple(location.path), "")
            text = _clean(location.leading_comments or location.trailing_comments)
            if name and text:
                comments[name] = text
    return comments


def _names(file: FileDescriptorProto) -> Iterator[tuple[Path, str]]:
    package = f"{file.package}." if file.package else ""
    for index, message in enumerate(file.message_type):
        yield from _message_names(message, (_FILE_MESSAGE, index), package)
    for index, enum in enumerate(file.enum_type):
        yield from _enum_names(enum, (_FILE_ENUM, index), package)
    for index, service in enumerate(file.service):
        path = (_FILE_SERVICE, index)
        yield path, f"{package}{service.name}"
        for position, method in enumerate(service.method):
            yield (*path, _SERVICE_METHOD, position), f"{package}{service.name}.{method.name}"


def _message_names(message: DescriptorProto, path: Path, prefix: str) -> Iterator[tuple[Path, str]]:
    name = f"{prefix}{message.name}"
    yield path, name
    for index, field in enumerate(message.field):
        yield (*path, _MESSAGE_FIELD, index), f"{name}.{field.name}"
    for index, oneof in enumerate(message.oneof_decl):
        yield (*path, _MESSAGE_ONEOF, index), f"{name}.{oneof.name}"
    for index, nested in enumerate(message.nested_type):
        yield from _message_names(nested, (*path, _MESSAGE_NESTED, index), f"{name}.")
    for index, enum in enumerate(message.enum_type):
        yield from _enum_names(enum, (*path, _MESSAGE_ENUM, index), f"{name}.")


def _enum_names(enum: EnumDescriptorProto, path: Path, prefix: str) -> Iterator[tuple[Path, str]]:
    name = f"{prefix}{enum.name}"
    yield path, name
    for index, value in enumerate(enum.value):
        yield (*path, _ENUM_VALUE, index), f"{name}.{value.name}"


def _clean(text: str) -> str:
    """Return a comment without the space that stands after each `//`, and without directives to linters."""
    lines = [line.removeprefix(" ").rstrip() for line in text.splitlines()]
    kept = [line for line in lines if not line.startswith(("buf:lint:", "(-- ", "protolint:"))]
    return "\n".join(kept).strip()
