"""The handler of every server contender: it answers at once."""

from __future__ import annotations

from typing import Any

from store.v1 import store_pb2 as pb
from store.v1 import store_pb2_grpc

from bench import sample


class Orders(store_pb2_grpc.OrderServiceServicer):
    async def PlaceOrder(self, request: pb.PlaceOrderRequest, context: Any) -> pb.PlaceOrderResponse:
        return sample.ORDER_RESPONSE
