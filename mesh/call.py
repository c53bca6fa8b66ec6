"""What a call is, how it can end, and the effects the engine asks its driver to perform.

Plain values: nothing here imports grpc, asyncio or a clock, so every algorithm above can be tested by hand.
Status codes are the integers of google.rpc.Code.
"""

from __future__ import annotations

import contextvars
import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

Metadata = tuple[tuple[str, str | bytes], ...]
AuthContext = Mapping[str, Iterable[bytes]]


class Code(enum.IntEnum):
    """The gRPC status codes, without importing grpc. Hot paths compare plain ints."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


CODE_NAMES: Final = tuple(code.name for code in Code)
"""Status names by number: `CODE_NAMES[14] == "UNAVAILABLE"`, without building an enum member per call."""


class Arity(enum.Enum):
    """How many messages each side sends."""

    UNARY_UNARY = "unary_unary"
    UNARY_STREAM = "unary_stream"
    STREAM_UNARY = "stream_unary"
    STREAM_STREAM = "stream_stream"

    @property
    def request_streams(self) -> bool:
        return self in {Arity.STREAM_UNARY, Arity.STREAM_STREAM}

    @property
    def response_streams(self) -> bool:
        return self in {Arity.UNARY_STREAM, Arity.STREAM_STREAM}


class Side(enum.Enum):
    """Which end of the wire a chain sits on."""

    CLIENT = "client"
    SERVER = "server"


class Colour(enum.Enum):
    """Which of grpc's two Python APIs carries a call."""

    AIO = "aio"
    SYNC = "sync"


class Direction(enum.Enum):
    """Which way a message goes, seen from the side that looks at it."""

    SENT = "sent"
    RECEIVED = "received"


class Priority(enum.IntEnum):
    """How important a request is; what matters least is refused first."""

    LOW = 0
    NORMAL = 1
    HIGH = 2


class Outcome(NamedTuple):
    """How an attempt or a call ended, as a value."""

    code: int
    details: str = ""
    value: Any = None
    error: BaseException | None = None
    trailing: Metadata = ()
    rejected_by: str = ""
    """The stage that refused the call before the wire; empty when the call went out."""
    open: bool = False
    """The first message of a response stream has arrived; the stream has not ended."""
    committed: bool = False
    """The caller has seen data: too late to retry."""
    answered_by: str = ""
    """The stage that answered in the place of the wire; `value` is then the response's wire form."""


ABANDONED: Final = Outcome(1, "the call was abandoned before it ended")
"""The outcome every call starts with, so that whatever is never finished settles as CANCELLED."""

OPEN: Final = Outcome(0, open=True)


NORMAL: Final = Priority.NORMAL  # looking up a member of an enum costs 0.1 us on 3.11


class Call:
    """One call, as its stages see it. Stages may read every field and write those marked (stages)."""

    __slots__ = (
        "arity",
        "ask_auth",
        "ask_peer",
        "attempt",
        "deadline",
        "delay",
        "hurried",
        "least",
        "listeners",
        "metadata",
        "method",
        "opened",
        "outgoing",
        "parent",
        "priority",
        "pushed_back",
        "replayable",
        "reported",
        "scratch",
        "started",
        "timeout",
        "trailing",
        "waited",
    )

    def __init__(
        self,
        method: str,
        arity: Arity,
        *,
        metadata: Metadata = (),
        timeout: float | None = None,
        parent: Call | None = None,
        peer: Callable[[], str] | None = None,
        auth: Callable[[], AuthContext] | None = None,
        replayable: bool = True,
    ) -> None:
        self.method = method
        """The full method name: `/package.Service/Method`."""
        self.arity = arity
        self.metadata = metadata
        """What the caller sent: the application's metadata on a client, the wire's on a server."""
        self.timeout = timeout
        """What the caller allowed, in seconds from `started`; None when it set no limit."""
        self.parent = parent
        """The server call in whose handler this client call is made, if any."""
        self.ask_peer = peer
        """Asks grpc who called; None on a client. Set by the binding."""
        self.ask_auth = auth
        """Asks grpc what the connection proved; None on a client. Set by the binding."""
        self.replayable = replayable
        """The request can be sent again: unary, or a collection instead of a one-shot iterator."""
        self.started = 0.0
        """Monotonic seconds; set by the engine."""
        self.opened = 0.0
        """Monotonic seconds of the first message of a response stream (client); 0.0 before. Set by the engine."""
        self.deadline: float | None = None
        """Monotonic seconds (stages): the call is not worth continuing after this."""
        self.hurried = False
        """A caller further up chose the deadline, and a short one (stages): running out of it says nothing about who is
        called.
        """
        self.least = 0.0
        """Seconds an attempt needs to be worth starting (stages)."""
        self.priority = NORMAL
        """How important the request is (stages)."""
        self.attempt = 0
        """The number of the current attempt, from 1; 0 before the first. Set by the engine."""
        self.pushed_back = 0
        """The last attempt that was answered with a delay to keep (stages); 0 if none was, negative once a server asked
        for no further one.
        """
        self.waited = 0.0
        """The seconds waited before the current attempt (stages)."""
        self.delay = 0.0
        """Seconds to wait before the attempt just admitted goes out, or is refused (stages). Reset by the engine."""
        self.listeners: Sequence[tuple[Any, Any]] = ()
        """The stages that look at messages, each with its ticket. Set by the engine."""
        self.outgoing: list[tuple[str, str | bytes]] = []
        """Metadata to send with every attempt, beyond the application's own (stages, client)."""
        self.trailing: list[tuple[str, str | bytes]] = []
        """Trailing metadata to send, beyond the handler's own (stages, server)."""
        self.reported: Any = None
        """What the handler said about load (see `mesh.report_load`)."""
        self.scratch: Any = None
        """Where the trace stage keeps what nested client calls need to continue the trace (stages)."""

    @property
    def peer(self) -> str:
        """Who called, as grpc writes it: `ipv4:127.0.0.1:50051`; empty on a client. Asked for only when it is read."""
        return "" if self.ask_peer is None else self.ask_peer()

    @property
    def auth(self) -> AuthContext:
        """What the connection proved about who called, as grpc writes it; empty on a client. Asked for when it is read."""
        return {} if self.ask_auth is None else self.ask_auth()

    def remaining(self, now: float) -> float | None:
        """Return the seconds left until the deadline, at least 0.0; None when there is no deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - now)

    def __repr__(self) -> str:
        return f"<Call {self.method} {self.arity.value} attempt={self.attempt} deadline={self.deadline}>"


CURRENT: Final[contextvars.ContextVar[Call | None]] = contextvars.ContextVar(
    "mesh_current_call", default=None
)
"""The server call being handled in this context; client calls made under it inherit its deadline and trace."""


class Attempt(NamedTuple):
    """Effect: try the call once on the wire; answer with its `Outcome` (`OPEN` at a stream's first message)."""

    number: int
    timeout: float | None
    method: str = ""
    """The method to send it to, if not the call's own."""


class Sleep(NamedTuple):
    """Effect: wait this many seconds; answer with None."""

    seconds: float


class Commit:
    """Effect: hand the open stream to the caller; answer with how it ended, `committed=True`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "COMMIT"


COMMIT: Final = Commit()


class Race(NamedTuple):
    """Effect of hedged calls: start an attempt, if any, then wait for whatever comes first.

    Answer with `(number, Outcome)` of the attempt that ended, or opened with its first message; with None when `wait`
    seconds passed and none had.
    """

    start: Attempt | None
    wait: float | None


class Choose(NamedTuple):
    """Effect of hedged calls: this attempt is the call's; cancel all others that run. Answer with None."""

    number: int


Effect = Attempt | Sleep | Commit | Race | Choose
