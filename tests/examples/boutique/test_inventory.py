"""A reservation keeps items for one buyer until it is committed, released or old; watchers see each change."""

import grpc
import pytest
from boutique.inventory.v1 import inventory_pb2 as pb
from boutique.type.v1.line_item_pb2 import LineItem

from .conftest import details, violations


async def available(inventory, product_id):
    return (await inventory.GetStock(pb.GetStockRequest(product_id=product_id))).stock.available


def reserve(inventory, reservation_id, **quantities):
    items = [
        LineItem(product_id=name.replace("_", "-"), quantity=count) for name, count in quantities.items()
    ]
    return inventory.ReserveStock(pb.ReserveStockRequest(reservation_id=reservation_id, items=items))


async def test_what_is_reserved_cannot_be_bought_by_others(inventory):
    await reserve(inventory, "r1", canvas_rucksack=4)
    assert await available(inventory, "canvas-rucksack") == 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reserve(inventory, "r2", canvas_rucksack=2)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    (violation,) = details(caught.value).violations
    assert (violation.type, violation.subject) == ("STOCK", "products/canvas-rucksack")


async def test_reserving_again_under_the_same_id_changes_nothing(inventory):
    first = await reserve(inventory, "r1", canvas_rucksack=4)
    assert await reserve(inventory, "r1", canvas_rucksack=4) == first
    assert await available(inventory, "canvas-rucksack") == 1


async def test_reserving_other_items_under_the_same_id_replaces(inventory):
    await reserve(inventory, "r1", canvas_rucksack=4)
    await reserve(inventory, "r1", canvas_rucksack=5)
    assert await available(inventory, "canvas-rucksack") == 0


async def test_a_reservation_lapses_after_ten_minutes(inventory, clock):
    await reserve(inventory, "r1", canvas_rucksack=5)
    clock.advance(minutes=9)
    assert await available(inventory, "canvas-rucksack") == 0
    clock.advance(minutes=1)
    assert await available(inventory, "canvas-rucksack") == 5
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await inventory.CommitReservation(pb.CommitReservationRequest(reservation_id="r1"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_committed_reservation_is_out_of_the_warehouses_and_does_not_lapse(inventory, clock):
    await reserve(inventory, "r1", canvas_rucksack=3)
    for _ in range(2):  # once, or twice: the same
        await inventory.CommitReservation(pb.CommitReservationRequest(reservation_id="r1"))
    clock.advance(hours=1)
    stock = (await inventory.GetStock(pb.GetStockRequest(product_id="canvas-rucksack"))).stock
    assert stock.available == 2
    assert dict(stock.warehouses) == {"leipzig": 1, "gent": 1}


async def test_releasing_puts_committed_items_back_where_they_came_from(inventory):
    before = await inventory.GetStock(pb.GetStockRequest(product_id="canvas-rucksack"))
    await reserve(inventory, "r1", canvas_rucksack=5)
    await inventory.CommitReservation(pb.CommitReservationRequest(reservation_id="r1"))
    for _ in range(2):
        await inventory.ReleaseReservation(pb.ReleaseReservationRequest(reservation_id="r1"))
    assert await inventory.GetStock(pb.GetStockRequest(product_id="canvas-rucksack")) == before


@pytest.mark.parametrize(
    ("product_id", "level", "restock"),
    [
        ("hammock", pb.STOCK_LEVEL_OUT, "2025-06-13T00:00:00Z"),
        ("canvas-rucksack", pb.STOCK_LEVEL_LOW, "2025-06-18T00:00:00Z"),
        ("enamel-mug", pb.STOCK_LEVEL_PLENTY, None),
    ],
)
async def test_a_level_says_in_a_word_how_much_is_left(inventory, product_id, level, restock):
    stock = (await inventory.GetStock(pb.GetStockRequest(product_id=product_id))).stock
    assert stock.level == level
    assert (stock.restock_time.ToJsonString() if stock.HasField("restock_time") else None) == restock


async def test_every_wrong_item_is_named(inventory):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await inventory.ReserveStock(pb.ReserveStockRequest(items=[LineItem(quantity=100)]))
    assert violations(caught.value) == {
        "items[0].product_id": "is missing",
        "items[0].quantity": "100 is not between 1 and 99",
        "reservation_id": "is missing",
    }


async def test_a_watcher_sees_what_is_and_then_what_changes(inventory):
    watch = inventory.WatchStock(pb.WatchStockRequest(product_ids=["enamel-mug", "moka-pot"]))
    current = [(await watch.read()).current for _ in range(2)]
    assert [(stock.product_id, stock.available) for stock in current] == [
        ("enamel-mug", 200),
        ("moka-pot", 31),
    ]
    await reserve(inventory, "r1", enamel_mug=3, desk_lamp=1)  # of which the lamp is not watched
    await inventory.ReleaseReservation(pb.ReleaseReservationRequest(reservation_id="r1"))
    changes = [(await watch.read()).change for _ in range(2)]
    assert [(change.difference, change.reason, change.stock.available) for change in changes] == [
        (-3, pb.STOCK_CHANGE_REASON_RESERVED, 197),
        (3, pb.STOCK_CHANGE_REASON_RELEASED, 200),
    ]
    watch.cancel()
