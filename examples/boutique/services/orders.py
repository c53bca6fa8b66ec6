"""Orders: places an order exactly once, however often it is asked, by charging, committing stock and shipping.

What is done for an order is done under names that follow from the request's id, and each of it is idempotent where it
happens: a second request, a retry by the mesh, or one that comes while the first is at work, all end in one order.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from decimal import Decimal

from boutique.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from boutique.orders.v1 import orders_pb2 as pb
from boutique.orders.v1 import orders_pb2_grpc
from boutique.pricing.v1 import pricing_pb2, pricing_pb2_grpc
from boutique.shipping.v1 import shipping_pb2, shipping_pb2_grpc

import mesh
from services import item, money, page, problem
from services.clock import Clock, now
from services.problem import Context

DECLINED = "tok_declined"
MOST_ON_INVOICE = Decimal(500)
"""In euros."""


class Orders(orders_pb2_grpc.OrderServiceServicer):
    def __init__(
        self,
        pricing: pricing_pb2_grpc.PricingServiceAsyncStub,
        inventory: inventory_pb2_grpc.InventoryServiceAsyncStub,
        shipping: shipping_pb2_grpc.ShippingServiceAsyncStub,
        clock: Clock = now,
    ) -> None:
        self._pricing = pricing
        self._inventory = inventory
        self._shipping = shipping
        self._clock = clock
        self._orders: dict[str, pb.Order] = {}
        self._reservations: dict[str, str] = {}

    async def PlaceOrder(self, request: pb.PlaceOrderRequest, context: Context) -> pb.PlaceOrderResponse:
        violations = _violations(request)
        if violations:
            await problem.invalid(context, violations)
        name = "orders/" + hashlib.sha256(request.request_id.encode()).hexdigest()[:12]
        if name not in self._orders:
            order = await self._price(context, name, request)
            await self._charge(context, request.payment, order)
            reserved = inventory_pb2.CommitReservationRequest(reservation_id=request.reservation_id)
            await problem.relay(context, self._inventory.CommitReservation(reserved))
            parcel = shipping_pb2.ShipOrderRequest(quote_id=request.shipping_quote.quote_id, order=name)
            shipped = await problem.relay(context, self._shipping.ShipOrder(parcel))
            order.shipment.CopyFrom(shipped.shipment)
            self._orders.setdefault(name, order)
            self._reservations[name] = request.reservation_id
        return pb.PlaceOrderResponse(order=self._orders[name])

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.GetOrderResponse:
        return pb.GetOrderResponse(order=await self._find(context, request.name))

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:
        if not request.email:
            await problem.invalid(context, {"email": "is missing"})
        found = [
            order
            for order in reversed(self._orders.values())
            if order.email == request.email and (not request.states or order.state in request.states)
        ]
        orders, token = await page.cut(
            context, found, size=request.page_size, token=request.page_token, default=10
        )
        return pb.ListOrdersResponse(orders=orders, next_page_token=token)

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: Context) -> pb.CancelOrderResponse:
        order = await self._find(context, request.name)
        if order.state != pb.ORDER_STATE_CANCELLED:
            if self._clock() >= order.shipment.delivery.earliest_time.ToDatetime(dt.UTC):
                await problem.unmet(
                    context, "NOT_DELIVERED", order.name, "the parcel may have arrived already"
                )
            reserved = inventory_pb2.ReleaseReservationRequest(reservation_id=self._reservations[order.name])
            await problem.relay(context, self._inventory.ReleaseReservation(reserved))
            order.state = pb.ORDER_STATE_CANCELLED
            order.cancel_reason = request.reason
        return pb.CancelOrderResponse(order=order)

    async def _find(self, context: Context, name: str) -> pb.Order:
        order = self._orders.get(name)
        if order is None:
            await problem.not_found(context, "order", name)
        return order

    async def _price(self, context: Context, name: str, request: pb.PlaceOrderRequest) -> pb.Order:
        shipping = request.shipping_quote.delivery.price
        asked = pricing_pb2.BatchGetPricesRequest(
            product_ids=[line.product_id for line in request.items], currency_code=request.currency_code
        )
        prices = (await problem.relay(context, self._pricing.BatchGetPrices(asked))).prices
        subtotal = sum(
            (money.unpack(prices[line.product_id].price) * line.quantity for line in request.items),
            Decimal(0),
        )
        currency = prices[request.items[0].product_id].price.currency_code
        if shipping.currency_code != currency:
            other = f"{shipping.currency_code} is not {currency}, which the order is in"
            await problem.invalid(context, {"shipping_quote.delivery.price.currency_code": other})
        order = pb.Order(
            name=name,
            state=pb.ORDER_STATE_PLACED,
            email=request.email,
            cart_id=request.cart_id,
            items=request.items,
            subtotal=money.pack(subtotal, currency),
            shipping=shipping,
            total=money.pack(subtotal + money.unpack(shipping), currency),
        )
        order.place_time.FromDatetime(self._clock())
        return order

    async def _charge(self, context: Context, payment: pb.Payment, order: pb.Order) -> None:
        """Stand in for a payment provider, which would be given the order's name to charge only once."""
        if payment.WhichOneof("method") == "card_token":
            if payment.card_token == DECLINED:
                await problem.unmet(context, "PAYMENT", order.name, "the card was declined")
            return
        asked = pricing_pb2.ConvertMoneyRequest(amount=order.total, currency_code="EUR")
        total = (await problem.relay(context, self._pricing.ConvertMoney(asked))).amount
        if money.unpack(total) > MOST_ON_INVOICE:
            limit = (
                f"an invoice may be for {MOST_ON_INVOICE} euros, and this one is for {money.unpack(total)}"
            )
            await problem.unmet(context, "PAYMENT", order.name, limit)


def _violations(request: pb.PlaceOrderRequest) -> dict[str, str]:
    found = item.violations(request.items)
    for field in ("request_id", "reservation_id"):
        if not getattr(request, field):
            found[field] = "is missing"
    if not request.shipping_quote.quote_id:
        found["shipping_quote.quote_id"] = "is missing"
    if not all(request.email.partition("@")):
        found["email"] = f'"{request.email}" is not an address for mail'
    method = request.payment.WhichOneof("method")
    if method is None:
        found["payment"] = "has neither card_token nor invoice"
    elif method == "invoice":
        found |= {
            f"payment.invoice.{field}": "is missing"
            for field in ("company", "vat_number")
            if not getattr(request.payment.invoice, field)
        }
    return found


async def main() -> None:
    orders = Orders(
        pricing_pb2_grpc.PricingServiceStub(mesh.channel("pricing")),
        inventory_pb2_grpc.InventoryServiceStub(mesh.channel("inventory")),
        shipping_pb2_grpc.ShippingServiceStub(mesh.channel("shipping")),
    )
    server = mesh.server("orders")
    orders_pb2_grpc.add_OrderServiceServicer_to_server(orders, server)
    await server.serve()


if __name__ == "__main__":
    mesh.run(main())
