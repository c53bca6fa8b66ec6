"""Pricing: says what things cost today, reductions taken off, in any currency the shop takes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from boutique.pricing.v1 import pricing_pb2 as pb
from boutique.pricing.v1 import pricing_pb2_grpc
from google.type import money_pb2

import mesh
from services import data, money, page, problem
from services.clock import Clock, now
from services.problem import Context

HOME = "EUR"
"""The currency of list prices, and of those who name none."""


class Pricing(pricing_pb2_grpc.PricingServiceServicer):
    def __init__(
        self,
        prices: Mapping[str, Any],
        rates: Mapping[str, Any],
        clock: Clock = now,
    ) -> None:
        self._prices = {name: Decimal(str(price)) for name, price in prices["prices"].items()}
        self._reductions = prices["reductions"]
        self._currencies = rates["currencies"]
        self._set_time = rates["set_time"]
        self._clock = clock

    async def GetPrice(self, request: pb.GetPriceRequest, context: Context) -> pb.GetPriceResponse:
        currency = await self._currency(context, request.currency_code)
        return pb.GetPriceResponse(price=await self._price(context, request.product_id, currency))

    async def BatchGetPrices(
        self, request: pb.BatchGetPricesRequest, context: Context
    ) -> pb.BatchGetPricesResponse:
        if not 1 <= len(request.product_ids) <= page.MOST:
            count = f"{len(request.product_ids)} ids are not between 1 and {page.MOST}"
            await problem.invalid(context, {"product_ids": count})
        currency = await self._currency(context, request.currency_code)
        return pb.BatchGetPricesResponse(
            prices={
                product_id: await self._price(context, product_id, currency)
                for product_id in request.product_ids
            }
        )

    async def ListRates(self, _request: pb.ListRatesRequest, _context: Context) -> pb.ListRatesResponse:
        rates = {code: currency["rate"] for code, currency in self._currencies.items()}
        return pb.ListRatesResponse(rates=rates, set_time=self._set_time)

    async def ConvertMoney(
        self, request: pb.ConvertMoneyRequest, context: Context
    ) -> pb.ConvertMoneyResponse:
        source = await self._currency(context, request.amount.currency_code)
        target = await self._currency(context, request.currency_code)
        euros = money.unpack(request.amount) / Decimal(str(self._currencies[source]["rate"]))
        return pb.ConvertMoneyResponse(amount=self._in(target, euros))

    async def _currency(self, context: Context, code: str) -> str:
        if code and code not in self._currencies:
            known = ", ".join(self._currencies)
            await problem.invalid(context, {"currency_code": f'"{code}" is not one of {known}'})
        return code or HOME

    async def _price(self, context: Context, product_id: str, currency: str) -> pb.Price:
        listed = self._prices.get(product_id)
        if listed is None:
            await problem.not_found(context, "product", product_id)
        price = pb.Price(product_id=product_id, list_price=self._in(currency, listed))
        reduction = self._reductions.get(product_id, {})
        if "percent" in reduction:
            price.percent_off = reduction["percent"]
            listed *= 1 - Decimal(reduction["percent"]) / 100
        elif "amount" in reduction:
            price.amount_off.CopyFrom(self._in(currency, Decimal(str(reduction["amount"]))))
            listed -= Decimal(str(reduction["amount"]))
        if reduction:
            price.sale_end_time.FromDatetime(_next_monday(self._clock()))
        price.price.CopyFrom(self._in(currency, listed))
        return price

    def _in(self, currency: str, euros: Decimal) -> money_pb2.Money:
        rate, coin = (Decimal(str(self._currencies[currency][name])) for name in ("rate", "coin"))
        return money.pack(money.rounded(euros * rate, coin), currency)


def _next_monday(moment: dt.datetime) -> dt.datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + dt.timedelta(days=7 - moment.weekday())


if __name__ == "__main__":
    server = mesh.server("pricing")
    pricing_pb2_grpc.add_PricingServiceServicer_to_server(
        Pricing(data.load("prices"), data.load("rates")), server
    )
    server.run()
