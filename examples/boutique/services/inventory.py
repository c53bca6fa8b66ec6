"""Inventory: counts what is left, keeps items for buyers, and tells watchers of every change.

A reservation takes items off what others can buy; committing it takes them out of the warehouses; releasing puts them
back. One that lapsed is released when the next call notices.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import grpc
from boutique.inventory.v1 import inventory_pb2 as pb
from boutique.inventory.v1 import inventory_pb2_grpc

import mesh
from services import data, item, problem
from services.problem import Context

KEEP = 600
"""Seconds that a reservation holds."""
LOW = 5
DAY = 86_400
BACKLOG = 100
"""Events that a watcher may lag behind before it is let go."""


@dataclasses.dataclass
class Kept:
    """The items of one reservation."""

    items: dict[str, int]
    expire_time: float
    committed: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    """The warehouse each piece was taken from; empty until it is committed."""


class Inventory(inventory_pb2_grpc.InventoryServiceServicer):
    def __init__(self, stock: Mapping[str, Any], clock: Callable[[], float] = time.time) -> None:
        self._warehouses = {name: dict(row["warehouses"]) for name, row in stock.items()}
        self._restock_days = {
            name: row["restock_days"] for name, row in stock.items() if "restock_days" in row
        }
        self._kept: dict[str, Kept] = {}
        self._watchers: set[asyncio.Queue[pb.WatchStockResponse]] = set()
        self._clock = clock

    async def GetStock(self, request: pb.GetStockRequest, context: Context) -> pb.GetStockResponse:
        self._lapse()
        await self._check(context, (request.product_id,))
        return pb.GetStockResponse(stock=self._stock(request.product_id))

    async def WatchStock(
        self, request: pb.WatchStockRequest, context: Context
    ) -> AsyncIterator[pb.WatchStockResponse]:
        self._lapse()
        await self._check(context, request.product_ids)
        watched = list(dict.fromkeys(request.product_ids)) or list(self._warehouses)
        news: asyncio.Queue[pb.WatchStockResponse] = asyncio.Queue(BACKLOG)
        self._watchers.add(news)  # before the first message, so that no change falls in between
        try:
            for product_id in watched:
                yield self._dated(pb.WatchStockResponse(current=self._stock(product_id)))
            while not news.full():
                event = await news.get()
                if event.change.stock.product_id in watched:
                    yield event
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"the watcher is {BACKLOG} events behind")
        finally:
            self._watchers.discard(news)

    async def ReserveStock(
        self, request: pb.ReserveStockRequest, context: Context
    ) -> pb.ReserveStockResponse:
        self._lapse()
        violations = item.violations(request.items)
        if not request.reservation_id:
            violations["reservation_id"] = "is missing"
        if violations:
            await problem.invalid(context, violations)
        await self._check(context, (line.product_id for line in request.items))
        wanted = _sum(request)
        kept = self._kept.get(request.reservation_id)
        if kept is None or (not kept.committed and kept.items != wanted):
            own = {} if kept is None else kept.items
            for name, quantity in wanted.items():
                available = self._available(name) + own.get(name, 0)
                if quantity > available:
                    left = f"{quantity} of {name} were asked for, and {available} are left"
                    await problem.unmet(context, "STOCK", f"products/{name}", left)
            self._release(request.reservation_id)
            kept = self._kept[request.reservation_id] = Kept(wanted, self._clock() + KEEP)
            self._tell(wanted, -1, pb.STOCK_CHANGE_REASON_RESERVED)
        reservation = pb.Reservation(reservation_id=request.reservation_id, items=request.items)
        reservation.expire_time.FromSeconds(int(kept.expire_time))
        return pb.ReserveStockResponse(reservation=reservation)

    async def CommitReservation(
        self, request: pb.CommitReservationRequest, context: Context
    ) -> pb.CommitReservationResponse:
        self._lapse()
        kept = self._kept.get(request.reservation_id)
        if kept is None:
            await problem.not_found(context, "reservation", request.reservation_id)
        if not kept.committed:
            kept.committed = {name: self._take(name, count) for name, count in kept.items.items()}
        return pb.CommitReservationResponse()

    async def ReleaseReservation(
        self, request: pb.ReleaseReservationRequest, _context: Context
    ) -> pb.ReleaseReservationResponse:
        self._release(request.reservation_id)
        return pb.ReleaseReservationResponse()

    async def _check(self, context: Context, product_ids: Iterable[str]) -> None:
        for product_id in product_ids:
            if product_id not in self._warehouses:
                await problem.not_found(context, "product", product_id)

    def _available(self, product_id: str) -> int:
        reserved = sum(kept.items.get(product_id, 0) for kept in self._kept.values() if not kept.committed)
        return sum(self._warehouses[product_id].values()) - reserved

    def _stock(self, product_id: str) -> pb.Stock:
        available = self._available(product_id)
        level = (
            pb.STOCK_LEVEL_OUT
            if available == 0
            else pb.STOCK_LEVEL_LOW
            if available <= LOW
            else pb.STOCK_LEVEL_PLENTY
        )
        stock = pb.Stock(
            product_id=product_id, available=available, level=level, warehouses=self._warehouses[product_id]
        )
        if level != pb.STOCK_LEVEL_PLENTY and product_id in self._restock_days:
            today = int(self._clock()) // DAY
            stock.restock_time.FromSeconds((today + self._restock_days[product_id]) * DAY)
        return stock

    def _take(self, product_id: str, count: int) -> list[str]:
        warehouses = self._warehouses[product_id]
        taken = []
        for _ in range(count):
            fullest = max(warehouses, key=lambda name: warehouses[name])
            warehouses[fullest] -= 1
            taken.append(fullest)
        return taken

    def _release(self, reservation_id: str) -> None:
        kept = self._kept.pop(reservation_id, None)
        if kept is not None:
            for product_id, taken in kept.committed.items():
                for warehouse in taken:
                    self._warehouses[product_id][warehouse] += 1
            self._tell(kept.items, 1, pb.STOCK_CHANGE_REASON_RELEASED)

    def _lapse(self) -> None:
        now = self._clock()
        for name in [
            name for name, kept in self._kept.items() if not kept.committed and kept.expire_time <= now
        ]:
            self._release(name)

    def _tell(self, items: Mapping[str, int], sign: int, reason: pb.StockChangeReason.ValueType) -> None:
        for product_id, quantity in items.items():
            change = pb.StockChange(difference=sign * quantity, reason=reason, stock=self._stock(product_id))
            event = self._dated(pb.WatchStockResponse(change=change))
            for watcher in self._watchers:
                if not watcher.full():
                    watcher.put_nowait(event)

    def _dated(self, event: pb.WatchStockResponse) -> pb.WatchStockResponse:
        event.event_time.FromNanoseconds(int(self._clock() * 1e3) * 1_000_000)
        return event


def _sum(request: pb.ReserveStockRequest) -> dict[str, int]:
    wanted: dict[str, int] = {}
    for line in request.items:
        wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
    return wanted


if __name__ == "__main__":
    server = mesh.server("inventory", grace=2)
    inventory_pb2_grpc.add_InventoryServiceServicer_to_server(Inventory(data.load("stock")), server)
    server.run()
