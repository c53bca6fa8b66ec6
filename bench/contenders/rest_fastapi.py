"""FastAPI as people write it: a pydantic model for the body, stubs, gather, MessageToDict."""

# FastAPI reads the annotations of its views, so they are not postponed here.
import asyncio
from collections.abc import Mapping
from typing import Any

import grpc.aio
from fastapi import FastAPI
from google.protobuf.json_format import MessageToDict
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from store.v1 import store_pb2 as pb
from store.v1 import store_pb2_grpc

from bench.contenders import host
from bench.serving import Serving

_TIMEOUT = 15.0


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class AddressIn(Model):
    name: str
    street: str
    postal_code: str
    city: str


class OrderIn(Model):
    customer_id: str
    item_id: str
    quantity: int
    address: AddressIn
    note: str = ""
    gift: bool = False
    vouchers: list[str] = []


def make(backends: Mapping[str, str]) -> FastAPI:
    app = FastAPI()
    orders = store_pb2_grpc.OrderServiceStub(grpc.aio.insecure_channel(backends["OrderService"]))
    catalog = store_pb2_grpc.CatalogServiceStub(grpc.aio.insecure_channel(backends["CatalogService"]))
    pricing = store_pb2_grpc.PricingServiceStub(grpc.aio.insecure_channel(backends["PricingService"]))
    stock = store_pb2_grpc.StockServiceStub(grpc.aio.insecure_channel(backends["StockService"]))
    reviews = store_pb2_grpc.ReviewServiceStub(grpc.aio.insecure_channel(backends["ReviewService"]))

    @app.post("/v1/orders")
    async def place_order(order: OrderIn) -> dict[str, Any]:
        reply = await orders.PlaceOrder(pb.PlaceOrderRequest(**order.model_dump()), timeout=_TIMEOUT)
        return MessageToDict(reply)

    @app.get("/v1/pages/{item_id}")
    async def get_page(item_id: str) -> dict[str, Any]:
        found = await catalog.GetItem(pb.GetItemRequest(item_id=item_id), timeout=_TIMEOUT)
        item = found.item
        price, locations, reviewed = await asyncio.gather(
            pricing.GetPrice(pb.GetPriceRequest(sku=item.sku), timeout=_TIMEOUT),
            stock.GetStock(pb.GetStockRequest(sku=item.sku), timeout=_TIMEOUT),
            reviews.ListReviews(pb.ListReviewsRequest(item_id=item.item_id), timeout=_TIMEOUT),
        )
        return {
            "item": MessageToDict(item),
            "price": MessageToDict(price.price),
            "stock": [MessageToDict(location) for location in locations.locations],
            "reviews": [MessageToDict(review) for review in reviewed.reviews],
        }

    return app


async def start(backends: Mapping[str, str]) -> Serving:
    return await host.serve(make(backends))
