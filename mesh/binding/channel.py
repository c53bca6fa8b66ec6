"""How a channel of the mesh is opened: the target resolved, the connection policy native, the chain around its calls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from mesh.binding import client_aio, runtime
from mesh.binding.channel_aio import Channel
from mesh.binding.intercepted_aio import InterceptedChannel, onward
from mesh.binding.runtime import Runtime
from mesh.binding.service_config import ChannelArguments
from mesh.binding.site_aio import Site
from mesh.binding.target import resolve
from mesh.call import Side
from mesh.chain import Chains
from mesh.placement import Placed
from mesh.telemetry import otel


def channel(
    target: str | Sequence[str],
    *,
    credentials: grpc.ChannelCredentials | None = None,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    stages: Sequence[Placed] = (),
    options: Sequence[tuple[str, Any]] = (),
    using: Runtime | None = None,
) -> grpc.aio.Channel:
    """Open a channel whose calls go through the mesh.

    `target` is the name of a service in the environment (`mesh.yaml`), `HOST:PORT`, a `dns:///` or `unix:` URI, or a
    list of `IP:PORT`. The application's `interceptors` run before the mesh's, once per call whatever is retried;
    its `stages` (see `mesh.place`) run where they are placed.
    `options` are gRPC channel arguments and win over the policy's. Without `credentials` the channel is plaintext.

    Raises ConfigError when the target or the environment cannot be used, and RuntimeError outside a running event loop,
    to which grpc.aio binds a channel for good. Nothing is connected yet.
    """
    _require_loop()
    using = using or runtime.current()
    found = resolve(target, using.environment)

    def opened(
        uri: str, arguments: ChannelArguments, before: Sequence[grpc.aio.ClientInterceptor] = ()
    ) -> grpc.aio.Channel:
        given = [*options, *arguments]  # of options given twice gRPC takes the first
        if credentials is None:
            return grpc.aio.insecure_channel(uri, options=given, interceptors=before)
        return grpc.aio.secure_channel(uri, credentials, options=given, interceptors=before)

    site = Site(found, using, opened, stages=stages)
    before = [*interceptors, *_package(using, site.home.chains)]
    if before:
        # Nothing is ever sent on the front, so it need not know how to connect.
        front = opened(found.uri, [], [*before, *onward()])
        return InterceptedChannel(site.home, front, pick=site.pick, beside=site)
    return Channel(site.home, pick=site.pick, beside=site)


def _require_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "mesh.channel needs the running event loop, to which the channel will belong: open it inside `async def "
            "main()` and start that with mesh.run(main())"
        ) from None


def client_interceptors(
    target: str, *, stages: Sequence[Placed] = (), using: Runtime | None = None
) -> list[grpc.aio.ClientInterceptor]:
    """Return the mesh's interceptors for a grpc.aio channel of your own; `target` names it in metrics and state.

    Put your own interceptors before or after them. They bring the chain only: load balancing, health checks and
    keepalive are settings of the channel, which `mesh.channel` makes.
    """
    using = using or runtime.current()
    chains = using.chains(Side.CLIENT, target, stages=stages)
    return [*_package(using, chains), *client_aio.interceptors(chains)]


def _package(using: Runtime, chains: Chains) -> Sequence[grpc.aio.ClientInterceptor]:
    """Return the interceptors of opentelemetry-instrumentation-grpc, where a policy leaves spans to it."""
    if using.policies.names_otel_instrumentation:
        return otel.otel_client_interceptors(using.telemetry, chains.leaves_spans)
    return ()
