"""Shipping: weighs parcels, quotes them in the buyer's currency, and hands them to the carrier."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from boutique.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from boutique.pricing.v1 import pricing_pb2, pricing_pb2_grpc
from boutique.shipping.v1 import shipping_pb2 as pb
from boutique.shipping.v1 import shipping_pb2_grpc
from boutique.type.v1 import line_item_pb2

import mesh
from services import data, item, money, problem
from services.clock import Clock, now
from services.problem import Context

HOME = "DE"
USUAL_WEIGHT = 500
HOLDS = dt.timedelta(minutes=15)
"""How long a quote can be accepted."""


class Shipping(shipping_pb2_grpc.ShippingServiceServicer):
    def __init__(
        self,
        tariff: Mapping[str, Any],
        catalog: catalog_pb2_grpc.CatalogServiceAsyncStub,
        pricing: pricing_pb2_grpc.PricingServiceAsyncStub,
        clock: Clock = now,
    ) -> None:
        self._tariff = tariff
        self._catalog = catalog
        self._pricing = pricing
        self._clock = clock
        self._quotes: dict[str, pb.ShippingQuote] = {}
        self._shipments: dict[str, pb.Shipment] = {}

    async def EstimateDelivery(
        self, request: pb.EstimateDeliveryRequest, context: Context
    ) -> pb.EstimateDeliveryResponse:
        if request.weight_grams < 0:
            await problem.invalid(context, {"weight_grams": f"{request.weight_grams} is negative"})
        country = request.country_code or HOME
        await self._check_country(context, country, "country_code")
        grams = request.weight_grams or USUAL_WEIGHT
        delivery = await self._deliver(context, country, grams, request.speed, request.currency_code)
        return pb.EstimateDeliveryResponse(delivery=delivery)

    async def QuoteShipping(
        self, request: pb.QuoteShippingRequest, context: Context
    ) -> pb.QuoteShippingResponse:
        violations = item.violations(request.items) | _violations(request.address)
        if violations:
            await problem.invalid(context, violations)
        country = request.address.country_code
        await self._check_country(context, country, "address.country_code")
        grams = await self._weigh(context, request.items)
        delivery = await self._deliver(context, country, grams, request.speed, request.currency_code)
        quote = pb.ShippingQuote(quote_id=secrets.token_hex(8), delivery=delivery, weight_grams=grams)
        quote.expire_time.FromDatetime(self._clock() + HOLDS)
        self._forget()
        self._quotes[quote.quote_id] = quote
        return pb.QuoteShippingResponse(quote=quote)

    async def ShipOrder(self, request: pb.ShipOrderRequest, context: Context) -> pb.ShipOrderResponse:
        if not request.order:
            await problem.invalid(context, {"order": "is missing"})
        # Derived from the order: shipping it again finds the same parcel.
        tracking_code = "BQ" + hashlib.sha256(request.order.encode()).hexdigest()[:10].upper()
        shipment = self._shipments.get(tracking_code)
        if shipment is None:
            self._forget()
            quote = self._quotes.pop(request.quote_id, None)
            if quote is None:
                await problem.not_found(context, "shipping quote", request.quote_id)
            shipment = pb.Shipment(tracking_code=tracking_code, order=request.order, delivery=quote.delivery)
            self._shipments[tracking_code] = shipment
        return pb.ShipOrderResponse(shipment=shipment)

    async def GetShipment(self, request: pb.GetShipmentRequest, context: Context) -> pb.GetShipmentResponse:
        shipment = self._shipments.get(request.tracking_code)
        if shipment is None:
            await problem.not_found(context, "shipment", request.tracking_code)
        return pb.GetShipmentResponse(shipment=shipment)

    async def _check_country(self, context: Context, code: str, field: str) -> None:
        if code not in self._tariff:
            known = ", ".join(self._tariff)
            await problem.invalid(context, {field: f'"{code}" is not one of {known}'})

    async def _weigh(self, context: Context, items: Iterable[line_item_pb2.LineItem]) -> int:
        lines = list(items)
        asked = catalog_pb2.BatchGetProductsRequest(product_ids=[line.product_id for line in lines])
        found = await problem.relay(context, self._catalog.BatchGetProducts(asked))
        return sum(
            product.weight_grams * line.quantity for product, line in zip(found.products, lines, strict=True)
        )

    async def _deliver(
        self,
        context: Context,
        country: str,
        grams: int,
        speed: pb.Speed.ValueType,
        currency_code: str,
    ) -> pb.Delivery:
        row, express = self._tariff[country], speed == pb.SPEED_EXPRESS
        euros = Decimal(str(row["base"])) + Decimal(str(row["per_kilogram"])) * grams / 1000
        asked = pricing_pb2.ConvertMoneyRequest(
            amount=money.pack(euros * (2 if express else 1), "EUR"), currency_code=currency_code
        )
        converted = await problem.relay(context, self._pricing.ConvertMoney(asked))
        delivery = pb.Delivery(
            price=converted.amount, speed=pb.SPEED_EXPRESS if express else pb.SPEED_STANDARD
        )
        first, last = ((days + 1) // 2 if express else days for days in row["days"])
        today = self._clock().replace(hour=0, minute=0, second=0, microsecond=0)
        delivery.earliest_time.FromDatetime(today + dt.timedelta(days=first, hours=9))
        delivery.latest_time.FromDatetime(today + dt.timedelta(days=last, hours=18))
        return delivery

    def _forget(self) -> None:
        moment = self._clock()
        self._quotes = {
            quote_id: quote
            for quote_id, quote in self._quotes.items()
            if quote.expire_time.ToDatetime(dt.UTC) > moment
        }


def _violations(address: pb.Address) -> dict[str, str]:
    return {
        f"address.{field}": "is missing"
        for field in ("recipient", "lines", "postal_code", "city", "country_code")
        if not getattr(address, field)
    }


async def main() -> None:
    shipping = Shipping(
        data.load("shipping"),
        catalog_pb2_grpc.CatalogServiceStub(mesh.channel("catalog")),
        pricing_pb2_grpc.PricingServiceStub(mesh.channel("pricing")),
    )
    server = mesh.server("shipping")
    shipping_pb2_grpc.add_ShippingServiceServicer_to_server(shipping, server)
    await server.serve()


if __name__ == "__main__":
    mesh.run(main())
