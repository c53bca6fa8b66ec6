"""An HTTP/2 client with prior knowledge that sends and receives at once, which those from PyPI do not."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import h2.config
import h2.connection
import h2.events


class Duplex:
    """One request on a connection of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self._changed = asyncio.Event()
        self._stream = 0
        self._reader: Any = None
        self._writer: Any = None
        self._reading: Any = None
        self.reads = True
        """Whether what is received is acknowledged: otherwise the window stays shut once it is full."""
        self.headers: dict[str, str] = {}
        self.body = b""
        self.ended = False
        self.broken = False
        """The stream was reset."""

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._connection.initiate_connection()
        await self._flush()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        self._writer.close()

    async def begin(self, method: str, path: str, *, ends: bool = False, **headers: str) -> None:
        pseudo = {":method": method, ":path": path, ":scheme": "http", ":authority": "test"}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self._stream = self._connection.get_next_available_stream_id()
        self._connection.send_headers(self._stream, [*pseudo.items(), *given.items()], end_stream=ends)
        await self._flush()

    async def send(self, data: bytes, *, ends: bool = False) -> None:
        """Send all of it, waiting for the server's window."""
        while True:
            room = min(
                len(data),
                self._connection.local_flow_control_window(self._stream),
                self._connection.max_outbound_frame_size,
            )
            if data and not room:
                self._changed.clear()
                await self._changed.wait()
                continue
            self._connection.send_data(self._stream, data[:room], end_stream=ends and room == len(data))
            await self._flush()
            data = data[room:]
            if not data:
                return

    async def reset(self) -> None:
        self._connection.reset_stream(self._stream, error_code=8)
        await self._flush()

    async def until(self, condition: Any, seconds: float = 5.0) -> None:
        """Wait until something that was received makes a condition true."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _flush(self) -> None:
        self._writer.write(self._connection.data_to_send())
        await self._writer.drain()

    async def _read(self) -> None:
        while data := await self._reader.read(65536):
            for event in self._connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    self.headers = {_text(name): _text(value) for name, value in event.headers}
                elif isinstance(event, h2.events.DataReceived):
                    self.body += event.data
                    if self.reads:
                        self._connection.acknowledge_received_data(event.flow_controlled_length, self._stream)
                elif isinstance(event, h2.events.StreamEnded):
                    self.ended = True
                elif isinstance(event, h2.events.StreamReset):
                    self.broken = True
            await self._flush()
            self._changed.set()


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()
