"""What is compared with what, and the budgets that the comparisons answer to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Contenders that do the same work; the first is the baseline."""

    name: str
    title: str
    asks: str
    """What is asked of a server: `rpc`, `order` or `page`; empty for clients, which make their own calls."""
    contenders: tuple[tuple[str, str], ...]
    """Modules of bench.contenders, each with what the report calls it."""
    missing: str = ""
    """Who is not compared, and why."""

    def without(self, suffix: str) -> Comparison:
        """Return the comparison of the others, where some contenders cannot run."""
        left = tuple(each for each in self.contenders if not each[0].endswith(suffix))
        return replace(self, contenders=left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a contender may cost more than its baseline: so many microseconds, or so many times."""

    title: str
    comparison: str
    contender: str
    extra: float = 0.0
    ratio: float = 0.0

    @property
    def rule(self) -> str:
        return f"<= {self.ratio:g} x" if self.ratio else f"<= +{self.extra:g} us"


COMPARISONS: Final = (
    Comparison(
        name="client",
        title="gRPC client, unary call",
        asks="",
        contenders=(
            ("client_bare", "grpc.aio"),
            ("client_arguments", "grpc.aio + our channel arguments"),
            ("client_idle", "grpc.aio + an idle interceptor"),
            ("client_mesh", "mesh.channel"),
            ("client_features", "grpc.aio + interceptors by hand"),
            ("client_otel", "grpc.aio + otel instrumentation"),
            ("client_envoy", "grpc.aio + its Envoy sidecar"),
        ),
        missing="grpc-client-kit is not among them: it needs Python 3.12, and this environment is the mesh's oldest, 3.11",
    ),
    Comparison(
        name="server",
        title="gRPC server, unary call",
        asks="rpc",
        contenders=(
            ("server_bare", "grpc.aio"),
            ("server_mesh", "mesh.server"),
            ("server_otel", "grpc.aio + otel instrumentation"),
        ),
    ),
    Comparison(
        name="rest",
        title="REST, one RPC (POST)",
        asks="order",
        contenders=(
            ("rest_hand", "hand-written ASGI, stub, orjson"),
            ("rest_gateway", "our gateway"),
            ("rest_fastapi", "FastAPI, stub, MessageToDict"),
            ("rest_envoy", "Envoy's gRPC-JSON transcoder"),
        ),
    ),
    Comparison(
        name="page",
        title="REST, four RPCs: one, then three in parallel (GET)",
        asks="page",
        contenders=(
            ("rest_hand", "hand-written ASGI, gather"),
            ("rest_gateway", "our gateway, compose option"),
            ("rest_fastapi", "FastAPI, gather"),
        ),
    ),
)

GROUPS: Final = {"grpc": ("client", "server"), "http": ("rest", "page")}
"""Names for several comparisons at once."""

BUDGETS: Final = (
    Budget(title="client chain", comparison="client", contender="client_mesh", extra=15),
    Budget(title="server chain", comparison="server", contender="server_mesh", extra=15),
    Budget(title="gateway, one RPC", comparison="rest", contender="rest_gateway", ratio=1.25),
    Budget(title="gateway, four RPCs", comparison="page", contender="rest_gateway", ratio=1.25),
)
