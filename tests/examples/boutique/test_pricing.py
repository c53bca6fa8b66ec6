"""Prices are reduced first, converted then, and rounded to coins last."""

import grpc
import pytest
from boutique.pricing.v1 import pricing_pb2 as pb
from google.type import money_pb2

from .conftest import violations


def text(money):
    return f"{money.units + money.nanos / 1e9:g} {money.currency_code}"


@pytest.mark.parametrize(
    ("product_id", "currency", "listed", "price"),
    [
        ("enamel-mug", "", "18.5 EUR", "18.5 EUR"),
        ("enamel-mug", "CHF", "17.3 CHF", "17.3 CHF"),  # 17.2753, in coins of 0.05
        ("enamel-mug", "JPY", "3020 JPY", "3020 JPY"),  # 3020.31, and there is nothing below a yen
        ("moka-pot", "EUR", "39 EUR", "33.15 EUR"),
        ("waxed-jacket", "USD", "302.71 USD", "257.02 USD"),
    ],
)
async def test_what_a_product_costs(pricing, product_id, currency, listed, price):
    answer = await pricing.GetPrice(pb.GetPriceRequest(product_id=product_id, currency_code=currency))
    assert (text(answer.price.list_price), text(answer.price.price)) == (listed, price)


async def test_a_sale_ends_on_sunday_night(pricing):
    answer = await pricing.GetPrice(pb.GetPriceRequest(product_id="moka-pot"))
    assert answer.price.WhichOneof("reduction") == "percent_off"
    assert answer.price.sale_end_time.ToJsonString() == "2025-06-09T00:00:00Z"


async def test_what_is_not_reduced_has_no_end_of_sale(pricing):
    answer = await pricing.GetPrice(pb.GetPriceRequest(product_id="enamel-mug"))
    assert answer.price.WhichOneof("reduction") is None
    assert not answer.price.HasField("sale_end_time")


async def test_an_unknown_currency_is_refused_with_the_known_ones(pricing):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pricing.GetPrice(pb.GetPriceRequest(product_id="enamel-mug", currency_code="XAU"))
    assert violations(caught.value) == {"currency_code": '"XAU" is not one of EUR, USD, GBP, CHF, SEK, JPY'}


async def test_a_batch_is_keyed_by_product(pricing):
    answer = await pricing.BatchGetPrices(pb.BatchGetPricesRequest(product_ids=["hammock", "moka-pot"]))
    assert {name: text(price.price) for name, price in answer.prices.items()} == {
        "hammock": "84 EUR",
        "moka-pot": "33.15 EUR",
    }


async def test_money_converts_there_and_back(pricing):
    dollars = await pricing.ConvertMoney(
        pb.ConvertMoneyRequest(amount=money_pb2.Money(currency_code="EUR", units=100), currency_code="USD")
    )
    assert text(dollars.amount) == "114.23 USD"
    euros = await pricing.ConvertMoney(pb.ConvertMoneyRequest(amount=dollars.amount))
    assert text(euros.amount) == "100 EUR"
