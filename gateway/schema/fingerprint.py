"""What tells one schema from another: a hash of its services' names, their files, and all that these import."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor

    from gateway.schema.pool import Schema


def fingerprint(schema: Schema) -> str:
    """Return the hash, short enough to be read by people."""
    files: dict[str, FileDescriptor] = {}
    waiting = [service.file for service in schema.services]
    while waiting:
        file = waiting.pop()
        if files.setdefault(file.name, file) is file:
            waiting.extend(one for one in file.dependencies if one.name not in files)
    content = hashlib.sha256()
    # A server may list fewer services than its files declare.
    for service in schema.services:
        content.update(f"{service.full_name}\n".encode())
    for _, file in sorted(files.items()):
        content.update(file.serialized_pb)
    return content.hexdigest()[:16]
