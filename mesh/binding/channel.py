"""A grpc.aio channel of the mesh: the target resolved, the connection policy native, the chain as interceptors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from mesh.binding import client_aio, runtime
from mesh.binding.runtime import Runtime
from mesh.binding.service_config import channel_arguments
from mesh.binding.target import resolve
from mesh.call import Side
from mesh.telemetry import otel


def channel(
    target: str | Sequence[str],
    *,
    credentials: grpc.ChannelCredentials | None = None,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    options: Sequence[tuple[str, Any]] = (),
    using: Runtime | None = None,
) -> grpc.aio.Channel:
    """Open a channel whose calls go through the mesh.

    `target` is the name of a service in the environment (`mesh.yaml`), `HOST:PORT`, a `dns:///` or `unix:` URI, or a
    list of `IP:PORT`. The application's `interceptors` run before the mesh's, once per call whatever is retried.
    `options` are gRPC channel arguments and win over the policy's. Without `credentials` the channel is plaintext.

    Raises ConfigError when the target or the environment cannot be used, and RuntimeError outside a running event loop,
    to which grpc.aio binds a channel for good. Nothing is connected yet.
    """
    _require_loop()
    using = using or runtime.current()
    found = resolve(target, using.environment)
    policy = using.policies.connection(found.services)
    # Of options given twice gRPC takes the first.
    arguments = [*options, *channel_arguments(policy)]
    chain = [*interceptors, *client_interceptors(found.name, using=using)]
    if credentials is None:
        return grpc.aio.insecure_channel(found.uri, options=arguments, interceptors=chain)
    return grpc.aio.secure_channel(found.uri, credentials, options=arguments, interceptors=chain)


def _require_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "mesh.channel needs the running event loop, to which the channel will belong: open it inside `async def "
            "main()` and start that with mesh.run(main())"
        ) from None


def client_interceptors(target: str, *, using: Runtime | None = None) -> list[grpc.aio.ClientInterceptor]:
    """Return the mesh's interceptors for a grpc.aio channel of your own; `target` names it in metrics and state.

    Put your own interceptors before or after them. They bring the chain only: load balancing, health checks and
    keepalive are settings of the channel, which `mesh.channel` makes.
    """
    using = using or runtime.current()
    chains = using.chains(Side.CLIENT, target)
    own = client_aio.interceptors(chains)
    if using.policies.names_otel_instrumentation:
        return [*otel.otel_client_interceptors(using.telemetry, chains.leaves_spans), *own]
    return own
