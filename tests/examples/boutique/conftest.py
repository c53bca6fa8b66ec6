"""How the boutique's services are tested: each as a real server of the mesh on a port of its own, stubs made on the spot."""

from __future__ import annotations

import atexit
import contextlib
import datetime as dt
import sys
import tempfile
from pathlib import Path

import pytest
from google.rpc import error_details_pb2, status_pb2

import mesh
from mesh.binding.runtime import Runtime
from mesh.generate import Request, generate

BOUTIQUE = Path(__file__).resolve().parents[3] / "examples" / "boutique"

# The example's generated code is not committed, and test modules import it: it has to be there before they are.
_made = tempfile.TemporaryDirectory(prefix="boutique-")
atexit.register(_made.cleanup)
generate(
    Request(
        folders=(BOUTIQUE / "protos",),
        out=Path(_made.name),
        descriptors=Path(_made.name) / "boutique.binpb",
    )
)
sys.path[:0] = [_made.name, str(BOUTIQUE)]


class Clock:
    """A time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = dt.datetime(2025, 6, 4, 12, tzinfo=dt.UTC)  # a Wednesday

    def __call__(self) -> dt.datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def advance(self, **units: float) -> None:
        self.now += dt.timedelta(**units)


def details(error):
    """Return the google.rpc details of a refusal, unpacked."""
    wire = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(wire)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    known = (
        error_details_pb2.BadRequest,
        error_details_pb2.ResourceInfo,
        error_details_pb2.PreconditionFailure,
    )
    (kind,) = (kind for kind in known if status.details[0].Is(kind.DESCRIPTOR))
    unpacked = kind()
    status.details[0].Unpack(unpacked)
    return unpacked


def violations(error):
    """Return the field violations of a refusal, by field."""
    return {violation.field: violation.description for violation in details(error).field_violations}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def serve():
    """Return a function that serves one servicer through the mesh and opens a channel to it."""
    runtime = Runtime()
    async with contextlib.AsyncExitStack() as stack:

        async def start(name, add, servicer):
            server = mesh.server(name, listen="127.0.0.1:0", using=runtime)
            add(servicer, server)
            channel = mesh.channel(await server.start(), using=runtime)
            stack.push_async_callback(server.stop)
            stack.push_async_callback(channel.close)
            return channel

        yield start


@pytest.fixture
async def catalog(serve):
    from boutique.catalog.v1 import catalog_pb2_grpc as grpc
    from services.catalog import Catalog, products

    add = grpc.add_CatalogServiceServicer_to_server
    return grpc.CatalogServiceStub(await serve("catalog", add, Catalog(products())))


@pytest.fixture
async def pricing(serve, clock):
    from boutique.pricing.v1 import pricing_pb2_grpc as grpc
    from services import data
    from services.pricing import Pricing

    servicer = Pricing(data.load("prices"), data.load("rates"), clock)
    return grpc.PricingServiceStub(
        await serve("pricing", grpc.add_PricingServiceServicer_to_server, servicer)
    )


@pytest.fixture
async def inventory(serve, clock):
    from boutique.inventory.v1 import inventory_pb2_grpc as grpc
    from services import data
    from services.inventory import Inventory

    servicer = Inventory(data.load("stock"), clock.seconds)
    add = grpc.add_InventoryServiceServicer_to_server
    return grpc.InventoryServiceStub(await serve("inventory", add, servicer))


@pytest.fixture
async def reviews(serve, clock):
    from boutique.reviews.v1 import reviews_pb2_grpc as grpc
    from services import data
    from services.reviews import Reviews

    servicer = Reviews(data.load("reviews"), clock)
    return grpc.ReviewServiceStub(await serve("reviews", grpc.add_ReviewServiceServicer_to_server, servicer))


@pytest.fixture
async def cart(serve, catalog, pricing):
    from boutique.cart.v1 import cart_pb2_grpc as grpc
    from services.cart import Cart

    add = grpc.add_CartServiceServicer_to_server
    return grpc.CartServiceStub(await serve("cart", add, Cart(catalog, pricing)))


@pytest.fixture
async def shipping(serve, catalog, pricing, clock):
    from boutique.shipping.v1 import shipping_pb2_grpc as grpc
    from services import data
    from services.shipping import Shipping

    servicer = Shipping(data.load("shipping"), catalog, pricing, clock)
    return grpc.ShippingServiceStub(
        await serve("shipping", grpc.add_ShippingServiceServicer_to_server, servicer)
    )


@pytest.fixture
async def orders(serve, pricing, inventory, shipping, clock):
    from boutique.orders.v1 import orders_pb2_grpc as grpc
    from services.orders import Orders

    servicer = Orders(pricing, inventory, shipping, clock)
    return grpc.OrderServiceStub(await serve("orders", grpc.add_OrderServiceServicer_to_server, servicer))
