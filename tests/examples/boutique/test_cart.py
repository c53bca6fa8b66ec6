"""A cart knows quantities; titles and prices come from the catalog and pricing, and so do their refusals."""

import grpc
import pytest
from boutique.cart.v1 import cart_pb2 as pb
from boutique.type.v1.line_item_pb2 import LineItem

from .conftest import details, violations


def add(cart, product_id, quantity=1):
    item = LineItem(product_id=product_id, quantity=quantity)
    return cart.AddItem(pb.AddItemRequest(cart_id="c1", item=item))


async def get(cart, **request):
    return (await cart.GetCart(pb.GetCartRequest(cart_id="c1", **request))).cart


async def test_lines_are_titled_and_priced_in_the_currency_asked_for(cart):
    await add(cart, "enamel-mug", 2)
    await add(cart, "moka-pot")
    seen = await get(cart, currency_code="USD")
    assert [(line.title, line.quantity) for line in seen.lines] == [
        ("Enamel mug", 2),
        ("Moka pot, three cups", 1),
    ]
    assert (seen.subtotal.currency_code, seen.subtotal.units, seen.subtotal.nanos) == ("USD", 80, 130_000_000)


async def test_adding_adds_to_what_is_there(cart):
    await add(cart, "enamel-mug", 2)
    answer = await add(cart, "enamel-mug", 3)
    assert [(item.product_id, item.quantity) for item in answer.items] == [("enamel-mug", 5)]


async def test_more_than_99_in_all_are_refused(cart):
    await add(cart, "enamel-mug", 99)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await add(cart, "enamel-mug", 1)
    assert violations(caught.value) == {"item.quantity": "100 in all is more than 99"}


async def test_what_the_catalog_does_not_know_is_refused_in_the_catalogs_words(cart):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await add(cart, "flying-carpet")
    assert caught.value.details() == 'there is no product "flying-carpet"'
    assert details(caught.value).resource_type == "product"


async def test_what_pricing_does_not_know_is_refused_in_pricings_words(cart):
    await add(cart, "enamel-mug")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await get(cart, currency_code="XAU")
    assert list(violations(caught.value)) == ["currency_code"]


async def test_quantities_are_set_and_items_taken_out(cart):
    await add(cart, "enamel-mug", 2)
    item = LineItem(product_id="enamel-mug", quantity=7)
    answer = await cart.UpdateItem(pb.UpdateItemRequest(cart_id="c1", item=item))
    assert answer.items[0].quantity == 7
    answer = await cart.RemoveItem(pb.RemoveItemRequest(cart_id="c1", product_id="enamel-mug"))
    assert not answer.items
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cart.UpdateItem(pb.UpdateItemRequest(cart_id="c1", item=item))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_cart_filled_anew_is_another_purchase(cart):
    await add(cart, "enamel-mug")
    first = (await get(cart)).checkout_id
    await add(cart, "moka-pot")
    assert (await get(cart)).checkout_id == first
    await cart.EmptyCart(pb.EmptyCartRequest(cart_id="c1"))
    assert await get(cart) == pb.Cart(cart_id="c1")
    await add(cart, "enamel-mug")
    assert (await get(cart)).checkout_id != first


async def test_an_empty_cart_cannot_be_bought(cart):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await get(cart, must_have_items=True)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == 'cart "c1" is empty'
