"""The payloads: what is asked, and what every backend answers. About 220 bytes each on the wire."""

from __future__ import annotations

from store.v1 import store_pb2 as pb

ADDRESS = pb.Address(
    name="Ada Lovelace", street="12 St James's Square", postal_code="SW1Y 4JH", city="London"
)

ORDER_REQUEST = pb.PlaceOrderRequest(
    customer_id="9f1c1f4e-3f0f-4b6e-9c6a-0a4be2d1a001",
    item_id="item-000042",
    quantity=2,
    address=ADDRESS,
    note="Please leave the parcel with the neighbour at number 12 if nobody opens.",
    gift=True,
    vouchers=["SPRING-10", "FREE-SHIPPING"],
)

ORDER_RESPONSE = pb.PlaceOrderResponse(
    order_id="0198a1c2-77aa-7d3e-8f00-5b1e2c3d4e5f",
    customer_id="9f1c1f4e-3f0f-4b6e-9c6a-0a4be2d1a001",
    state=pb.ORDER_STATE_PLACED,
    quantity=2,
    total=pb.Money(currency="GBP", units=129, nanos=990_000_000),
    address=ADDRESS,
    notices=["Delivered on Thursday between 9 and 12", "Free returns for 30 days"],
)

ITEM = pb.GetItemResponse(
    item=pb.Item(
        item_id="item-000042",
        sku="SKU-LAMP-BRASS-042",
        title="Desk lamp, brass",
        description="A desk lamp of solid brass with a linen-covered cord, made to be repaired; the bulb is included.",
        tags=["lighting", "office", "brass"],
        weight_grams=1850,
        fragile=True,
    )
)

PRICE = pb.GetPriceResponse(
    price=pb.Price(
        net=pb.Money(currency="GBP", units=108, nanos=325_000_000),
        gross=pb.Money(currency="GBP", units=129, nanos=990_000_000),
        discount=0.125,
        valid_until="2026-12-31T23:59:59Z",
        list_name="retail, Great Britain, including VAT at the standard rate, spring campaign, first 500 customers, "
        "one for each household",
    )
)

STOCK = pb.GetStockResponse(
    locations=[
        pb.Location(warehouse="London Park Royal", city="London", quantity=12, days=1),
        pb.Location(warehouse="Manchester Trafford Park", city="Manchester", quantity=3, days=2),
        pb.Location(warehouse="Glasgow Hillington", city="Glasgow", quantity=7, days=3),
        pb.Location(warehouse="Rotterdam Maasvlakte", city="Rotterdam", quantity=140, days=6),
    ]
)

REVIEWS = pb.ListReviewsResponse(
    reviews=[
        pb.Review(author="Charles", stars=5, text="Warm light, heavy foot. Does not move when the cat does."),
        pb.Review(author="Mary", stars=4, text="Beautiful; the switch is a little stiff."),
        pb.Review(author="Luigi", stars=5, text="Repaired the cord myself in ten minutes, as promised."),
    ]
)

RESPONSES = {
    "OrderService": ORDER_RESPONSE,
    "CatalogService": ITEM,
    "PricingService": PRICE,
    "StockService": STOCK,
    "ReviewService": REVIEWS,
}
"""By service: each has one method."""
