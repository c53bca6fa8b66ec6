"""An ASGI application written by hand for its two routes, as fast as it can be without tricks: stubs, orjson, gather."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc.aio
import orjson
from store.v1 import store_pb2 as pb
from store.v1 import store_pb2_grpc

from bench.contenders import host
from bench.serving import Serving

_TIMEOUT = 15.0
_PAGES = "/v1/pages/"


class App:
    def __init__(self, backends: Mapping[str, str]) -> None:
        def stub(service: str) -> Any:
            channel = grpc.aio.insecure_channel(backends[service])
            return getattr(store_pb2_grpc, f"{service}Stub")(channel)

        self._orders = stub("OrderService")
        self._catalog = stub("CatalogService")
        self._pricing = stub("PricingService")
        self._stock = stub("StockService")
        self._reviews = stub("ReviewService")

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        method, path = scope["method"], scope["path"]
        status = 200
        try:
            if method == "POST" and path == "/v1/orders":
                body = await self._order(await _read(receive))
            elif method == "GET" and path.startswith(_PAGES):
                body = await self._page(path.removeprefix(_PAGES))
            else:
                status, body = 404, b'{"code":5,"message":"not found"}'
        except grpc.aio.AioRpcError as error:
            status = 503
            body = orjson.dumps({"code": error.code().value[0], "message": error.details()})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _order(self, body: bytes) -> bytes:
        asked = orjson.loads(body)
        request = pb.PlaceOrderRequest(
            customer_id=asked["customerId"],
            item_id=asked["itemId"],
            quantity=asked["quantity"],
            address=_read_address(asked["address"]),
            note=asked["note"],
            gift=asked["gift"],
            vouchers=asked["vouchers"],
        )
        order = await self._orders.PlaceOrder(request, timeout=_TIMEOUT)
        return orjson.dumps(
            {
                "orderId": order.order_id,
                "customerId": order.customer_id,
                "state": pb.OrderState.Name(order.state),
                "quantity": order.quantity,
                "total": _money(order.total),
                "address": _address(order.address),
                "notices": list(order.notices),
            }
        )

    async def _page(self, item_id: str) -> bytes:
        item = (await self._catalog.GetItem(pb.GetItemRequest(item_id=item_id), timeout=_TIMEOUT)).item
        price, stock, reviews = await asyncio.gather(
            self._pricing.GetPrice(pb.GetPriceRequest(sku=item.sku), timeout=_TIMEOUT),
            self._stock.GetStock(pb.GetStockRequest(sku=item.sku), timeout=_TIMEOUT),
            self._reviews.ListReviews(pb.ListReviewsRequest(item_id=item.item_id), timeout=_TIMEOUT),
        )
        return orjson.dumps(
            {
                "item": {
                    "itemId": item.item_id,
                    "sku": item.sku,
                    "title": item.title,
                    "description": item.description,
                    "tags": list(item.tags),
                    "weightGrams": item.weight_grams,
                    "fragile": item.fragile,
                },
                "price": {
                    "net": _money(price.price.net),
                    "gross": _money(price.price.gross),
                    "discount": price.price.discount,
                    "validUntil": price.price.valid_until,
                    "listName": price.price.list_name,
                },
                "stock": [
                    {
                        "warehouse": location.warehouse,
                        "city": location.city,
                        "quantity": location.quantity,
                        "days": location.days,
                    }
                    for location in stock.locations
                ],
                "reviews": [
                    {"author": review.author, "stars": review.stars, "text": review.text}
                    for review in reviews.reviews
                ],
            }
        )


async def _read(receive: Callable[[], Awaitable[Any]]) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def _read_address(asked: Mapping[str, str]) -> pb.Address:
    return pb.Address(
        name=asked["name"], street=asked["street"], postal_code=asked["postalCode"], city=asked["city"]
    )


def _address(address: pb.Address) -> dict[str, str]:
    return {
        "name": address.name,
        "street": address.street,
        "postalCode": address.postal_code,
        "city": address.city,
    }


def _money(money: pb.Money) -> dict[str, Any]:
    return {"currency": money.currency, "units": str(money.units), "nanos": money.nanos}


async def start(backends: Mapping[str, str]) -> Serving:
    return await host.serve(App(backends))
