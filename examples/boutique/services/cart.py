"""Cart: remembers what visitors mean to buy; what that is called and costs, it asks the catalog and pricing."""

from __future__ import annotations

import dataclasses
import secrets
from decimal import Decimal

from boutique.cart.v1 import cart_pb2 as pb
from boutique.cart.v1 import cart_pb2_grpc
from boutique.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from boutique.pricing.v1 import pricing_pb2, pricing_pb2_grpc
from boutique.type.v1 import line_item_pb2

import mesh
from services import item, money, page, problem
from services.problem import Context


@dataclasses.dataclass
class Filling:
    """What is in a cart between two emptyings."""

    checkout_id: str = dataclasses.field(default_factory=lambda: secrets.token_hex(8))
    quantities: dict[str, int] = dataclasses.field(default_factory=dict)

    def items(self) -> list[line_item_pb2.LineItem]:
        return [
            line_item_pb2.LineItem(product_id=name, quantity=count) for name, count in self.quantities.items()
        ]


class Cart(cart_pb2_grpc.CartServiceServicer):
    def __init__(
        self,
        catalog: catalog_pb2_grpc.CatalogServiceAsyncStub,
        pricing: pricing_pb2_grpc.PricingServiceAsyncStub,
    ) -> None:
        self._catalog = catalog
        self._pricing = pricing
        self._carts: dict[str, Filling] = {}

    async def GetCart(self, request: pb.GetCartRequest, context: Context) -> pb.GetCartResponse:
        await _check(context, request.cart_id)
        filling = self._carts.get(request.cart_id)
        cart = pb.Cart(cart_id=request.cart_id)
        if filling is not None and filling.quantities:
            cart.checkout_id = filling.checkout_id
            cart.items.extend(filling.items())
            await self._price(context, cart, request.currency_code)
        elif request.must_have_items:
            await problem.unmet(context, "ITEMS", request.cart_id, f'cart "{request.cart_id}" is empty')
        return pb.GetCartResponse(cart=cart)

    async def AddItem(self, request: pb.AddItemRequest, context: Context) -> pb.AddItemResponse:
        await _check(context, request.cart_id, request.item)
        product_id = request.item.product_id
        await problem.relay(
            context, self._catalog.GetProduct(catalog_pb2.GetProductRequest(product_id=product_id))
        )
        filling = self._carts.setdefault(request.cart_id, Filling())
        quantity = filling.quantities.get(product_id, 0) + request.item.quantity
        if quantity > item.MOST:
            await problem.invalid(context, {"item.quantity": f"{quantity} in all is more than {item.MOST}"})
        if product_id not in filling.quantities and len(filling.quantities) == page.MOST:
            await problem.unmet(
                context, "ROOM", request.cart_id, f"a cart holds {page.MOST} products at most"
            )
        filling.quantities[product_id] = quantity
        return pb.AddItemResponse(items=filling.items())

    async def UpdateItem(self, request: pb.UpdateItemRequest, context: Context) -> pb.UpdateItemResponse:
        await _check(context, request.cart_id, request.item)
        filling = self._carts.get(request.cart_id, Filling())
        if request.item.product_id not in filling.quantities:
            await problem.not_found(context, "item", request.item.product_id)
        filling.quantities[request.item.product_id] = request.item.quantity
        return pb.UpdateItemResponse(items=filling.items())

    async def RemoveItem(self, request: pb.RemoveItemRequest, context: Context) -> pb.RemoveItemResponse:
        await _check(context, request.cart_id)
        filling = self._carts.get(request.cart_id, Filling())
        filling.quantities.pop(request.product_id, None)
        return pb.RemoveItemResponse(items=filling.items())

    async def EmptyCart(self, request: pb.EmptyCartRequest, context: Context) -> pb.EmptyCartResponse:
        await _check(context, request.cart_id)
        self._carts.pop(request.cart_id, None)
        return pb.EmptyCartResponse()

    async def _price(self, context: Context, cart: pb.Cart, currency_code: str) -> None:
        product_ids = [line.product_id for line in cart.items]
        # A call runs from the moment it is made: these two run at the same time.
        finding = self._catalog.BatchGetProducts(catalog_pb2.BatchGetProductsRequest(product_ids=product_ids))
        pricing = self._pricing.BatchGetPrices(
            pricing_pb2.BatchGetPricesRequest(product_ids=product_ids, currency_code=currency_code)
        )
        found, priced = await problem.relay(context, finding), await problem.relay(context, pricing)
        subtotal = Decimal(0)
        for line, product in zip(cart.items, found.products, strict=True):
            price = priced.prices[line.product_id].price
            amount = money.unpack(price) * line.quantity
            subtotal += amount
            cart.lines.add(
                title=product.title,
                quantity=line.quantity,
                unit_price=price,
                amount=money.pack(amount, price.currency_code),
            )
        cart.subtotal.CopyFrom(money.pack(subtotal, price.currency_code))


async def _check(context: Context, cart_id: str, line: line_item_pb2.LineItem | None = None) -> None:
    violations = {} if line is None else item.violation(line, "item")
    if not cart_id:
        violations["cart_id"] = "is missing"
    if violations:
        await problem.invalid(context, violations)


async def main() -> None:
    cart = Cart(
        catalog_pb2_grpc.CatalogServiceStub(mesh.channel("catalog")),
        pricing_pb2_grpc.PricingServiceStub(mesh.channel("pricing")),
    )
    server = mesh.server("cart")
    cart_pb2_grpc.add_CartServiceServicer_to_server(cart, server)
    await server.serve()


if __name__ == "__main__":
    mesh.run(main())
