"""The catalog finds, orders and pages, and names what it cannot find."""

import grpc
import pytest
from boutique.catalog.v1 import catalog_pb2 as pb

from .conftest import details, violations

MADE_UP = "made-up"


async def test_pages_put_together_are_the_whole_list(catalog):
    titles, token = [], ""
    while True:
        page = await catalog.ListProducts(pb.ListProductsRequest(page_size=8, page_token=token))
        titles += [product.title for product in page.products]
        token = page.next_page_token
        if not token:
            break
    assert len(titles) == page.total_size == 21
    assert titles == sorted(titles)


async def test_a_filter_has_all_its_conditions_met(catalog):
    wanted = pb.ProductFilter(
        categories=[pb.CATEGORY_KITCHEN, pb.CATEGORY_OUTDOOR], tags=["steel"], text="MUG fire"
    )
    found = await catalog.ListProducts(pb.ListProductsRequest(filter=wanted))
    assert [product.product_id for product in found.products] == ["enamel-mug"]


async def test_featured_false_is_not_the_same_as_unset(catalog):
    plain = await catalog.ListProducts(pb.ListProductsRequest(filter=pb.ProductFilter(featured=False)))
    proud = await catalog.ListProducts(pb.ListProductsRequest(filter=pb.ProductFilter(featured=True)))
    assert plain.total_size + proud.total_size == 21
    assert all(product.featured for product in proud.products)


@pytest.mark.parametrize(
    ("order", "first"), [(pb.PRODUCT_ORDER_NEWEST, "hammock"), (pb.PRODUCT_ORDER_WEIGHT, "fountain-pen")]
)
async def test_an_order_decides_who_is_first(catalog, order, first):
    found = await catalog.ListProducts(pb.ListProductsRequest(order_by=order, page_size=1))
    assert found.products[0].product_id == first


async def test_a_token_nobody_handed_out_is_refused(catalog):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await catalog.ListProducts(pb.ListProductsRequest(page_token=MADE_UP))
    assert violations(caught.value) == {"page_token": '"made-up" is not a token of this list'}


async def test_an_unknown_product_is_named(catalog):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await catalog.GetProduct(pb.GetProductRequest(product_id="flying-carpet"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == 'there is no product "flying-carpet"'
    assert details(caught.value).resource_name == "flying-carpet"


async def test_a_batch_keeps_the_order_asked_for(catalog):
    ids = ["hammock", "enamel-mug", "desk-lamp"]
    found = await catalog.BatchGetProducts(pb.BatchGetProductsRequest(product_ids=ids))
    assert [product.product_id for product in found.products] == ids
