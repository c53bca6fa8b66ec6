"""How granian is run: on a listening socket of ours, so that a successor can take over before it ends."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any, Final

from granian._granian import SocketHolder
from granian.constants import Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.embed import Server

from gateway.asgi import Application
from mesh.config.edge import ServerTls

_BACKLOG: Final = 1024
_MOST_IN_FLIGHT: Final = 4096
"""Requests per worker; more wait in their connections."""
# Seconds until a connection is closed that sends no request, or not all of its headers. Load balancers keep theirs
# for 60 s; a server that closes first races their next request, which then fails.
IDLE: Final = 75.0
_HEADER_BYTES: Final = (64 + 32) * 1024
"""The most that the head of a request comes to: the longest target that settings allow, and what goes with it. Left to
itself granian takes 400 KiB in HTTP/1.1, and 16 MiB in HTTP/2."""
_PING: Final = 30_000
"""Milliseconds between pings of HTTP/2 connections: one whose client is gone without a word is closed after them."""
_LOOK: Final = 0.005
_LOOKS: Final = 200
"""Seconds between looks at whether granian has let go of a socket, and how many."""
# granian logs to standard output, which is the access log's.
_LOGGING: Final = {
    "handlers": {"console": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}},
    "loggers": {"_granian": {"handlers": ["console"], "propagate": False}},
}


class HttpServer(Server):  # type: ignore[misc]  # granian is untyped here
    """Serves an ASGI application on a socket that stays its owner's.

    Two of them can serve one socket. Connections wait in the socket's queue, not in a server's, so none is lost when
    one of the two stops, provided that it has been told to `accept_no_more` some time before.
    """

    def __init__(
        self,
        application: Application,
        held: socket.socket,
        tls: ServerTls | None = None,
        *,
        idle: float = IDLE,
    ) -> None:
        self._held = held
        self._accepting = -1
        self._nobody = 0
        # The lifespan is ours: channels open before the first connection and close after the last.
        super().__init__(
            application,
            interface=Interfaces.ASGINL,
            websockets=True,
            backlog=_BACKLOG,
            backpressure=_MOST_IN_FLIGHT,
            http1_settings=HTTP1Settings(
                header_read_timeout=round(idle * 1000), max_buffer_size=_HEADER_BYTES
            ),
            http2_settings=HTTP2Settings(keep_alive_interval=_PING, max_headers_size=_HEADER_BYTES),
            log_level=LogLevels.error,
            log_dictconfig=_LOGGING,
            ssl_cert=None if tls is None else tls.certificate,
            ssl_key=None if tls is None else tls.private_key,
            ssl_protocol_min=SSLProtocols.tls12,
        )

    def _init_shared_socket(self) -> None:
        # granian's own: binding an address. It closes what it is given.
        self._accepting = os.dup(self._held.fileno())
        self._shd: Any = SocketHolder(self._accepting, False, _BACKLOG)  # type: ignore[call-arg]  # noqa: FBT003 - as granian's stubs do not say

    def accept_no_more(self) -> None:
        """Leave new connections to whoever else serves the socket; those accepted are served on.

        granian ends both at once, and a connection that it has accepted and not yet read a request from is closed
        unanswered. So its descriptor is put in the place of a socket to which nobody connects.
        """
        if self._accepting >= 0:
            with socket.create_server(("127.0.0.1", 0)) as nobody:
                nobody.setblocking(False)  # noqa: FBT003 - it takes no keywords
                os.dup2(nobody.fileno(), self._accepting, inheritable=False)
                self._nobody = os.fstat(self._accepting).st_ino

    async def stop_for_good(self) -> None:
        """Stop, and refuse connections from now on, those that wait too. The socket stays bound, and may be served again."""
        self.accept_no_more()
        self.stop()
        # A socket that is closed while granian still asks it for connections keeps granian busy for ever.
        for _ in range(_LOOKS):
            if not self._is_accepting:
                break
            await asyncio.sleep(_LOOK)
        stop_listening(self._held)

    @property
    def _is_accepting(self) -> bool:
        try:
            return os.fstat(self._accepting).st_ino == self._nobody
        except OSError:
            return False

    def __repr__(self) -> str:
        return f"<HttpServer on {self._held.getsockname()}>"


def stop_listening(held: socket.socket) -> None:
    """Refuse connections to a socket that nobody serves, those that wait too. It stays bound, and may be served again."""
    if is_listening(held):
        held.shutdown(socket.SHUT_RD)


def is_listening(held: socket.socket) -> bool:
    """Whether connections to a socket are accepted, or wait to be."""
    return bool(held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
