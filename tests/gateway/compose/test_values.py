"""What paths and projections give, what bindings fill, and what absence does."""

from __future__ import annotations

import pytest

from gateway.compose.binding import compile_bindings
from gateway.compose.shape import of_message
from gateway.compose.source import Root
from gateway.compose.spec import Binding
from mesh.policy.problem import Problems

LIST = """
products {
  id: "a" price { units: 1 } tags: ["x", "y"]
  variants { id: "a1" price { units: 10 } sizes: ["s", "m"] }
  variants { id: "a2" }
}
products { id: "b" }
products { id: "c" tags: "z" variants { id: "c1" price { units: 30 } sizes: "l" } }
"""
PRODUCT = 'id: "p" price { units: 5 } tags: ["t"] labels { key: "k" value: "v" } kind: KIND_BOOK stock: 3'


def compile_one(shop, bindings, target):
    """Bindings over `request` (a Product), `list` (a list response) and `many` (a list of Products)."""
    problems = []
    product, listing = (
        of_message(shop.pool.FindMessageTypeByName(f"shop.v1.{name}"))
        for name in ("Product", "ListProductsResponse")
    )
    roots = {"request": Root(0, product), "list": Root(1, listing), "many": Root(2, product.list())}
    filling = compile_bindings(
        [Binding(field, value) for field, value in bindings],
        shop.pool.FindMessageTypeByName(f"shop.v1.{target}"),
        roots,
        Problems("at", problems),
    )
    return filling, [str(problem) for problem in problems]


def build(shop, bindings, target="ListProductsRequest", product=PRODUCT):
    filling, problems = compile_one(shop, bindings, target)
    assert not problems
    listing = shop.new("ListProductsResponse", LIST)
    return filling.build([shop.new("Product", product), listing, list(listing.products)])


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("request.tags", ["t"]),
        ("request.tags[]", ["t"]),
        ("list.products[].id", ["a", "b", "c"]),
        ("many[].id", ["a", "b", "c"]),
        ("list.products[].tags", ["x", "y", "z"]),
        ("list.products[].tags[]", ["x", "y", "z"]),
        ("many[].tags", ["x", "y", "z"]),
        ("list.products[].variants[].id", ["a1", "a2", "c1"]),
        ("list.products[].variants[].sizes", ["s", "m", "l"]),
        ("list.products[].variants[].sizes[]", ["s", "m", "l"]),
        ("many[].variants[].price.currency", ["", "", ""]),
        ("request.variants[].id", []),
    ],
)
def test_projections_are_flat_and_in_order(shop, expression, values):
    assert build(shop, [("ids", expression)]).ids == values


def test_a_projection_has_one_value_per_element_even_where_it_is_unset(shop):
    response = build(shop, [("products", "many")], target="ListProductsResponse")
    assert [product.id for product in response.products] == ["a", "b", "c"]
    monies = build(shop, [("monies", "list.products[].price")], target="Kinds").monies
    assert [money.units for money in monies] == [1, 0, 0]


def test_messages_are_assigned_whole_and_copied(shop):
    page = build(
        shop, [("product", "request"), ("list", "list"), ("related", "many[]")], target="GetPageResponse"
    )
    assert page.product == shop.new("Product", PRODUCT)
    assert page.list == shop.new("ListProductsResponse", LIST)
    assert [product.id for product in page.related] == ["a", "b", "c"]


def test_maps_are_assigned_whole(shop):
    product = 'labels { key: "k" value: "v" } prices { key: "eur" value { units: 2 } }'
    filled = build(shop, [("labels", "request.labels"), ("prices", "request.prices")], product=product)
    assert filled.labels == {"k": "v"}
    assert filled.prices["eur"].units == 2


def test_nested_targets_create_the_messages_on_the_way(shop):
    filled = build(shop, [("filter.tag", "request.id"), ("filter.below.units", "request.stock")])
    assert filled.filter.tag == "p"
    assert filled.filter.below.units == 3


@pytest.mark.parametrize(
    ("field", "expression", "set_field"),
    [
        ("limit", "request.person", "limit"),
        ("name", "request.subtitle", "name"),
        ("name", "request.shop", "name"),
        ("name", "request.price.currency", "name"),
        ("amount", "request.price", "amount"),
        ("filter.below", "request.price", "filter"),
        ("filter.tag", "request.price.currency", "filter"),
        ("filter.ids", "request.tags", "filter"),
        ("filter.ids", "request.variants[].id", "filter"),
    ],
)
def test_an_absent_value_leaves_its_target_unset(shop, field, expression, set_field):
    present = 'subtitle: "" price {} tags: "t" variants {}'
    owner = "person: 0" if "person" in expression else 'shop: ""'
    assert not build(shop, [(field, expression)], product="").HasField(set_field)
    assert build(shop, [(field, expression)], product=f"{present} {owner}").HasField(set_field)


def test_a_default_without_presence_is_a_value(shop):
    """`stock` cannot be absent in a product that is there, so 0 is its value."""
    assert build(shop, [("limit", "request.stock")], product="").HasField("limit")


def test_absence_cannot_be_told_from_a_default_by_a_target_without_presence(shop):
    bindings = [("offset", "request.price.units"), ("kind", "request.kind"), ("labels", "request.labels")]
    filled = build(shop, bindings, product="")
    assert filled == shop.new("ListProductsRequest")
    assert build(shop, [("offset", "request.price.units"), ("kind", "request.kind")]).offset == 5


def test_a_root_that_is_not_there_fills_nothing(shop):
    bindings = [
        ("ids", "many[].id"),
        ("name", "request.id"),
        ("labels", "request.labels"),
        ("filter.below", "request.price"),
        ("kind", "KIND_BOOK"),
    ]
    filling, problems = compile_one(shop, bindings, "ListProductsRequest")
    assert not problems
    assert filling.build([None, None, None]) == shop.new("ListProductsRequest", "kind: KIND_BOOK")
    assert [use.root for use in filling.uses] == ["many", "request", "request", "request"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("requst.id", 'unknown name "requst"; did you mean "request"?'),
        ("cart", 'unknown name "cart"'),
        ("request.nmae", 'shop.v1.Product has no field "nmae"'),
        ("request.pric.units", 'shop.v1.Product has no field "pric"; did you mean "price"?'),
        ("request.id.x", '"request.id" is string: it has no field "x"'),
        ("request.kind.x", '"request.kind" is shop.v1.Kind: it has no field "x"'),
        ("request.labels.k", '"request.labels" is a map: it can only be assigned whole'),
        ("list.products.id", '"list.products" is a list: write "list.products[].id" to take "id" of each'),
        ("many.id", '"many" is a list: write "many[].id" to take "id" of each'),
        (
            "many[].variants.id",
            '"many[].variants" is a list: write "many[].variants[].id" to take "id" of each',
        ),
        ("request[].id", '"request" is shop.v1.Product, not a list: remove the "[]"'),
        ("request.price[].units", '"request.price" is shop.v1.Money, not a list: remove the "[]"'),
        ("many[].price[].units", '"many[].price" is shop.v1.Money, not a list: remove the "[]"'),
        ("many[].labels", '"many[].labels" would be a list of maps'),
        ("many[].id", '"many[].id" is repeated string, and the field is string'),
        ("request", '"request" is shop.v1.Product, and the field is string'),
        ("request.", '"request." has no name at column 9'),
    ],
)
def test_expressions_that_lead_nowhere(shop, value, message):
    assert compile_one(shop, [("name", value)], "ListProductsRequest")[1] == [f'at["name"]: {message}']


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("nmae", 'shop.v1.ListProductsRequest has no field "nmae"; did you mean "name"?'),
        ("", 'shop.v1.ListProductsRequest has no field ""'),
        ("filter.tga", 'shop.v1.ListProductsRequest.Filter has no field "tga"; did you mean "tag"?'),
        ("filter.", 'shop.v1.ListProductsRequest.Filter has no field ""'),
        ("name.x", '"name" is no single message: "x" of it cannot be filled'),
        ("filter.ids.x", '"filter.ids" is no single message: "x" of it cannot be filled'),
        ("labels.k", '"labels" is no single message: "k" of it cannot be filled'),
    ],
)
def test_targets_that_lead_nowhere(shop, field, message):
    assert compile_one(shop, [(field, "request.id")], "ListProductsRequest")[1] == [
        f'at["{field}"]: {message}'
    ]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (("ids", "many[].id"), ("ids", "request.tags"), "is filled twice"),
        (
            ("amount", "request.price"),
            ("amount.units", "request.stock"),
            'conflicts with "amount": "amount.units" is inside "amount"',
        ),
        (
            ("amount.units", "request.stock"),
            ("amount", "request.price"),
            'conflicts with "amount.units": "amount.units" is inside "amount"',
        ),
        (
            ("name", "request.id"),
            ("amount", "request.price"),
            'conflicts with "name": both are in the oneof "by"',
        ),
        (
            ("amount.units", "request.stock"),
            ("name", "request.id"),
            'conflicts with "amount.units": both are in the oneof "by"',
        ),
    ],
)
def test_conflicting_targets(shop, first, second, message):
    assert compile_one(shop, [first, second], "ListProductsRequest")[1] == [f'at["{second[0]}"]: {message}']


def test_siblings_do_not_conflict(shop):
    bindings = [
        ("amount.units", "request.stock"),
        ("amount.currency", "request.id"),
        ("limit", "request.stock"),
    ]
    assert build(shop, bindings).amount.currency == "p"
