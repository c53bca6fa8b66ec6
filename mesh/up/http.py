"""The least HTTP that readiness and metrics need: one GET, one answer, no client library."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from mesh.config.address import Address

_MOST = 16 * 1024 * 1024


class Response(NamedTuple):
    status: int
    body: str


async def get(address: Address, path: str, *, timeout: float) -> Response | None:  # noqa: ASYNC109 - a bound, not a scope
    """Return the answer; None when there is none in time."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(address.reachable.host, address.port)
            try:
                # HTTP/1.0: the answer ends with the connection and is never chunked.
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
                head, _, body = (await _all(reader)).partition(b"\r\n\r\n")
            finally:
                writer.close()
        version, _, rest = head.partition(b" ")
        if not version.startswith(b"HTTP/"):
            return None
        return Response(int(rest[:3]), body.decode("utf-8", "replace"))
    except (OSError, ValueError):  # TimeoutError is an OSError
        return None


async def _all(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while len(content) < _MOST:
        part = await reader.read(65536)
        if not part:
            break
        content += part
    return content
