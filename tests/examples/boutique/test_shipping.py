"""A parcel's price follows from country, weight and speed; a quote holds for a while; shipping twice is shipping once."""

import grpc
import pytest
from boutique.shipping.v1 import shipping_pb2 as pb
from boutique.type.v1.line_item_pb2 import LineItem

from .conftest import violations

ADDRESS = pb.Address(
    recipient="Ada", lines=["Lindenallee 7"], postal_code="04105", city="Leipzig", country_code="DE"
)


def quote(shipping, **changes):
    request = {"items": [LineItem(product_id="iron-skillet", quantity=2)], "address": ADDRESS} | changes
    return shipping.QuoteShipping(pb.QuoteShippingRequest(**request))


@pytest.mark.parametrize(
    ("request_", "price", "earliest", "latest"),
    [
        ({}, (4, 200_000_000), "2025-06-05T09:00:00Z", "2025-06-06T18:00:00Z"),
        (
            {"country_code": "CH", "weight_grams": 2_000},
            (14, 300_000_000),
            "2025-06-07T09:00:00Z",
            "2025-06-10T18:00:00Z",
        ),
        (
            {"country_code": "US", "weight_grams": 1_000, "speed": pb.SPEED_EXPRESS},
            (57, 600_000_000),
            "2025-06-07T09:00:00Z",
            "2025-06-10T18:00:00Z",
        ),
    ],
)
async def test_what_a_parcel_costs_and_when_it_arrives(shipping, request_, price, earliest, latest):
    answer = await shipping.EstimateDelivery(pb.EstimateDeliveryRequest(**request_))
    delivery = answer.delivery
    assert (delivery.price.units, delivery.price.nanos) == price
    assert delivery.earliest_time.ToJsonString() == earliest
    assert delivery.latest_time.ToJsonString() == latest


async def test_a_quote_weighs_the_items(shipping):
    answer = await quote(shipping)
    assert answer.quote.weight_grams == 2 * 2350
    assert answer.quote.expire_time.ToJsonString() == "2025-06-04T12:15:00Z"


async def test_every_missing_part_of_an_address_is_named(shipping):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await quote(shipping, address=pb.Address(city="Leipzig"), items=[])
    assert set(violations(caught.value)) == {
        "items",
        "address.recipient",
        "address.lines",
        "address.postal_code",
        "address.country_code",
    }


async def test_a_country_without_a_tariff_is_refused(shipping):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shipping.EstimateDelivery(pb.EstimateDeliveryRequest(country_code="AQ"))
    assert violations(caught.value)["country_code"].startswith('"AQ" is not one of DE, AT')


async def test_shipping_an_order_twice_is_shipping_it_once(shipping):
    offer = (await quote(shipping)).quote
    request = pb.ShipOrderRequest(quote_id=offer.quote_id, order="orders/1")
    first = await shipping.ShipOrder(request)
    assert await shipping.ShipOrder(request) == first
    found = await shipping.GetShipment(pb.GetShipmentRequest(tracking_code=first.shipment.tracking_code))
    assert found.shipment == first.shipment


async def test_a_quote_does_not_hold_for_ever(shipping, clock):
    offer = (await quote(shipping)).quote
    clock.advance(minutes=15)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shipping.ShipOrder(pb.ShipOrderRequest(quote_id=offer.quote_id, order="orders/1"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
