"""A grpc.aio stub with the channel arguments of the mesh, but no chain: tells what each of the two costs or saves."""

from __future__ import annotations

from collections.abc import Mapping

import grpc.aio
from store.v1 import store_pb2_grpc

from bench import sample
from bench.pace import Call
from mesh.binding.service_config import channel_arguments
from mesh.policy.table import PolicyTable


async def start(backends: Mapping[str, str]) -> Call:
    arguments = channel_arguments(PolicyTable().connection())
    channel = grpc.aio.insecure_channel(backends["OrderService"], options=arguments)
    stub = store_pb2_grpc.OrderServiceStub(channel)
    return lambda: stub.PlaceOrder(sample.ORDER_REQUEST)
