"""One purchase is one order: charged, committed and shipped once, whoever asks however often."""

import asyncio

import grpc
import pytest
from boutique.inventory.v1 import inventory_pb2
from boutique.orders.v1 import orders_pb2 as pb
from boutique.shipping.v1 import shipping_pb2
from boutique.type.v1.line_item_pb2 import LineItem

from .conftest import details, violations
from .test_shipping import ADDRESS

GOOD, BAD = "tok_visa", "tok_declined"


@pytest.fixture
def purchase(inventory, shipping):
    """Return a function that prepares a purchase the way a checkout does."""

    async def prepare(product_id="pocket-knife", quantity=2, **changes):
        items = [LineItem(product_id=product_id, quantity=quantity)]
        await inventory.ReserveStock(inventory_pb2.ReserveStockRequest(reservation_id="r1", items=items))
        offer = await shipping.QuoteShipping(shipping_pb2.QuoteShippingRequest(items=items, address=ADDRESS))
        request = {
            "request_id": "r1",
            "email": "ada@example.org",
            "items": items,
            "reservation_id": "r1",
            "shipping_quote": offer.quote,
            "payment": pb.Payment(card_token=GOOD),
        }
        return pb.PlaceOrderRequest(**request | changes)

    return prepare


async def stock(inventory, product_id="pocket-knife"):
    return (await inventory.GetStock(inventory_pb2.GetStockRequest(product_id=product_id))).stock


async def test_an_order_adds_up_and_takes_its_items(orders, purchase, inventory):
    order = (await orders.PlaceOrder(await purchase())).order
    assert order.state == pb.ORDER_STATE_PLACED
    assert (order.subtotal.units, order.subtotal.nanos) == (54, 0)
    assert (order.total.units, order.total.nanos) == (58, 10_000_000)  # 0.19 kg to DE: 3.90 + 0.114, rounded
    assert order.shipment.order == order.name
    assert sum((await stock(inventory)).warehouses.values()) == 49


async def test_asking_at_the_same_time_and_again_gives_the_same_order(orders, purchase, inventory):
    request = await purchase()
    one, other = await asyncio.gather(orders.PlaceOrder(request), orders.PlaceOrder(request))
    assert one.order == other.order == (await orders.PlaceOrder(request)).order
    listed = await orders.ListOrders(pb.ListOrdersRequest(email="ada@example.org"))
    assert list(listed.orders) == [one.order]
    assert sum((await stock(inventory)).warehouses.values()) == 49


async def test_a_declined_card_takes_nothing(orders, purchase, inventory):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await orders.PlaceOrder(await purchase(payment=pb.Payment(card_token=BAD)))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert details(caught.value).violations[0].type == "PAYMENT"
    assert sum((await stock(inventory)).warehouses.values()) == 51


async def test_an_invoice_has_a_limit(orders, purchase):
    invoice = pb.Payment(invoice=pb.Invoice(company="Analytical Engines", vat_number="GB123"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await orders.PlaceOrder(await purchase("desk-lamp", 3, payment=invoice))
    assert caught.value.details().startswith("an invoice may be for 500 euros, and this one is for 639.1")


async def test_a_lapsed_reservation_is_refused_before_anything_is_sent(orders, purchase, clock):
    request = await purchase()
    clock.advance(minutes=11)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await orders.PlaceOrder(request)
    assert caught.value.details() == 'there is no reservation "r1"'


async def test_everything_missing_is_named_at_once(orders):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await orders.PlaceOrder(pb.PlaceOrderRequest(email="ada", payment=pb.Payment(invoice=pb.Invoice())))
    assert set(violations(caught.value)) == {
        "request_id",
        "email",
        "items",
        "reservation_id",
        "shipping_quote.quote_id",
        "payment.invoice.company",
        "payment.invoice.vat_number",
    }


async def test_cancelling_puts_the_items_back_and_is_remembered(orders, purchase, inventory):
    order = (await orders.PlaceOrder(await purchase())).order
    request = pb.CancelOrderRequest(name=order.name, reason="too sharp")
    cancelled = (await orders.CancelOrder(request)).order
    assert (cancelled.state, cancelled.cancel_reason) == (pb.ORDER_STATE_CANCELLED, "too sharp")
    assert (await stock(inventory)).available == 51
    listed = await orders.ListOrders(
        pb.ListOrdersRequest(email="ada@example.org", states=[pb.ORDER_STATE_PLACED])
    )
    assert not listed.orders
    assert (await orders.GetOrder(pb.GetOrderRequest(name=order.name))).order == cancelled


async def test_what_may_have_arrived_cannot_be_cancelled(orders, purchase, clock):
    order = (await orders.PlaceOrder(await purchase())).order
    clock.advance(days=1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await orders.CancelOrder(pb.CancelOrderRequest(name=order.name))
    assert details(caught.value).violations[0].type == "NOT_DELIVERED"
