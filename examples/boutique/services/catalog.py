"""Catalog: describes the products, finds them, and never says what they cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from boutique.catalog.v1 import catalog_pb2 as pb
from boutique.catalog.v1 import catalog_pb2_grpc
from google.protobuf import json_format

import mesh
from services import data, page, problem
from services.problem import Context

_ORDERS: dict[int, Callable[[pb.Product], Any]] = {
    pb.PRODUCT_ORDER_UNSPECIFIED: lambda product: product.title,
    pb.PRODUCT_ORDER_TITLE: lambda product: product.title,
    pb.PRODUCT_ORDER_NEWEST: lambda product: (-product.add_time.seconds, product.title),
    pb.PRODUCT_ORDER_WEIGHT: lambda product: product.weight_grams,
}


class Catalog(catalog_pb2_grpc.CatalogServiceServicer):
    def __init__(self, products: Iterable[pb.Product]) -> None:
        self._products = {product.product_id: product for product in products}

    async def ListProducts(
        self, request: pb.ListProductsRequest, context: Context
    ) -> pb.ListProductsResponse:
        order = _ORDERS.get(request.order_by)
        if order is None:
            await problem.invalid(context, {"order_by": f"{request.order_by} is not an order"})
        found = sorted(filter(_passes(request.filter), self._products.values()), key=order)
        products, token = await page.cut(
            context, found, size=request.page_size, token=request.page_token, default=10
        )
        return pb.ListProductsResponse(products=products, next_page_token=token, total_size=len(found))

    async def GetProduct(self, request: pb.GetProductRequest, context: Context) -> pb.GetProductResponse:
        return pb.GetProductResponse(product=await self._find(context, request.product_id))

    async def BatchGetProducts(
        self, request: pb.BatchGetProductsRequest, context: Context
    ) -> pb.BatchGetProductsResponse:
        if not 1 <= len(request.product_ids) <= page.MOST:
            count = f"{len(request.product_ids)} ids are not between 1 and {page.MOST}"
            await problem.invalid(context, {"product_ids": count})
        return pb.BatchGetProductsResponse(
            products=[await self._find(context, product_id) for product_id in request.product_ids]
        )

    async def _find(self, context: Context, product_id: str) -> pb.Product:
        product = self._products.get(product_id)
        if product is None:
            await problem.not_found(context, "product", product_id)
        return product


def _passes(condition: pb.ProductFilter) -> Callable[[pb.Product], bool]:
    words = condition.text.casefold().split()

    def passes(product: pb.Product) -> bool:
        text = " ".join((product.title, product.description, *product.tags)).casefold()
        return (
            (not condition.categories or product.category in condition.categories)
            and set(condition.tags) <= set(product.tags)
            and all(word in text for word in words)
            and (not condition.HasField("featured") or product.featured == condition.featured)
        )

    return passes


def products() -> list[pb.Product]:
    """Return the products of the data file."""
    rows = data.load("products")
    return [
        json_format.ParseDict({"name": f"products/{row['productId']}", **row}, pb.Product()) for row in rows
    ]


if __name__ == "__main__":
    server = mesh.server("catalog")
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(Catalog(products()), server)
    server.run()
