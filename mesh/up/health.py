"""Whether a process is healthy: grpc.health.v1 for services, `/readyz` for the gateway."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh.config.address import Address
from mesh.up import http

# Someone who has just started is asked again soon: gRPC's own pause between connection attempts begins at a second.
_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 250),
    ("grpc.enable_http_proxy", 0),
    # A channel of our own for each probe: shared subchannels would share their pauses.
    ("grpc.use_local_subchannel_pool", 1),
)
_TIMEOUT = 1.0


class GrpcProbe:
    """Asks one target for the health of the server as a whole."""

    def __init__(self, target: str) -> None:
        self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        self._check = health_pb2_grpc.HealthStub(self._channel).Check

    async def __call__(self) -> bool:
        try:
            answer = await self._check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            # As clients see it: "If the server doesn't implement health checking, assume it is healthy" (gRFC A17).
            return bool(error.code() is grpc.StatusCode.UNIMPLEMENTED)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def close(self) -> None:
        await self._channel.close()


class HttpProbe:
    """Asks the gateway whether it is ready."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def __call__(self) -> bool:
        response = await http.get(self._address, "/readyz", timeout=_TIMEOUT)
        return response is not None and response.status == 200

    async def close(self) -> None:
        """Nothing is kept open."""
