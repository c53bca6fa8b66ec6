"""A grpc.aio server behind opentelemetry-instrumentation-grpc: traces alone, sampled as the mesh's are."""

from __future__ import annotations

from collections.abc import Mapping

import grpc.aio
from opentelemetry.instrumentation.grpc import aio_server_interceptor

from bench.contenders import tracing
from bench.contenders.server_bare import serve
from bench.serving import Serving


async def start(_backends: Mapping[str, str]) -> Serving:
    tracing.install()
    return await serve(grpc.aio.server(interceptors=[aio_server_interceptor()]))
