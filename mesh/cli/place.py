"""Where the services and methods of descriptor sets are written, by the source information `mesh generate` leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf.descriptor_pb2 import FileDescriptorProto

Places = Mapping[str, tuple[str, int | None]]
"""File and line of each service and method, by full name."""


def read_places(files: Iterable[FileDescriptorProto]) -> Places:
    """Return where each service and method is; without source information, in which file."""
    places: dict[str, tuple[str, int | None]] = {}
    for file in files:
        lines = {tuple(location.path): location.span[0] + 1 for location in file.source_code_info.location}
        for index, service in enumerate(file.service):
            name = f"{file.package}.{service.name}".lstrip(".")
            # descriptor.proto: `service` is field 6 of a file, `method` field 2 of a service.
            places[name] = (file.name, lines.get((6, index)))
            for position, method in enumerate(service.method):
                places[f"{name}.{method.name}"] = (file.name, lines.get((6, index, 2, position)))
    return places
