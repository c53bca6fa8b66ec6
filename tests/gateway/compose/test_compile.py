"""Every way in which a composition can be wrong, and the plan of those that are right."""

from __future__ import annotations

import pytest

from gateway.compose import compile_plans, explain

GET = 'call: "shop.v1.CatalogService/GetProduct"'
LIST = 'call: "shop.v1.CatalogService/ListProducts"'
ORDER = 'call: "shop.v1.OrderService/PlaceOrder"'
CATALOG = f'steps: {{ name: "catalog" {GET} request: {{ field: "id" value: "request.product_id" }} }}'
USES_CATALOG = 'response: { field: "product" value: "catalog" }'

PAGE = f"""
{CATALOG}
steps: {{
  name: "list" {LIST} timeout: {{ nanos: 250000000 }}
  request: {{ field: "filter.ids" value: "request.related_ids" }}
  request: {{ field: "kind" value: "KIND_BOOK" }}
}}
steps: {{
  name: "related" {GET} optional: true
  request: {{ field: "id" value: "item" }}
  for_each: {{ over: "list.products[].id" max_concurrency: 4 }}
}}
steps: {{ name: "order" {ORDER} request: {{ field: "product_id" value: "catalog.id" }} }}
{USES_CATALOG}
response: {{ field: "related" value: "related[]" }}
response: {{ field: "tags" value: "related[].tags" }}
"""


def step(name, call=GET, more="", **bindings):
    filled = " ".join(
        f'request: {{ field: "{field}" value: "{value}" }}' for field, value in bindings.items()
    )
    return f'steps: {{ name: "{name}" {call} {more} {filled} }}'


def test_edges_are_inferred(shop):
    plan = shop.plan(PAGE)
    assert plan.method == "/shop.v1.StorefrontService/GetPage"
    assert plan.request_class is type(shop.new("GetPageRequest"))
    assert plan.response_class is type(shop.new("GetPageResponse"))
    assert plan.omitted_field == "omitted"
    assert [(node.name, node.needs, node.unlocks) for node in plan.nodes] == [
        ("catalog", (), (3,)),
        ("list", (), (2,)),
        ("related", (1,), ()),
        ("order", (0,), ()),
    ]
    assert [node.fills for node in plan.nodes] == [("product",), (), ("related", "tags"), ()]
    assert [node.rpc for node in plan.nodes][3] == "/shop.v1.OrderService/PlaceOrder"


def test_explain_prints_the_graph(shop):
    assert (
        explain(shop.plan(PAGE))
        == """\
/shop.v1.StorefrontService/GetPage
  level 1
    catalog: /shop.v1.CatalogService/GetProduct
      id = request.product_id
    list: /shop.v1.CatalogService/ListProducts (timeout 0.25 s)
      filter.ids = request.related_ids
      kind = KIND_BOOK
  level 2
    related: /shop.v1.CatalogService/GetProduct (after list; for each item of list.products[].id, \
at most 4 in flight; optional)
      id = item
    order: /shop.v1.OrderService/PlaceOrder (after catalog)
      product_id = catalog.id
  response
    product = catalog
    related = related[]
    tags = related[].tags
    omitted = the optional steps that failed"""
    )


def test_explain_of_required_steps_lists_no_omissions(shop):
    assert (
        explain(shop.plan(CATALOG + USES_CATALOG, "GetPlain"))
        == """\
/shop.v1.StorefrontService/GetPlain
  level 1
    catalog: /shop.v1.CatalogService/GetProduct
      id = request.product_id
  response
    product = catalog"""
    )


def test_plans_of_all_declared_methods(shop):
    """The option is read from descriptors of a pool of its own."""
    declared = {name: shop.services[name] for name in ("shop.v1.DeclaredService", "shop.v1.CatalogService")}
    plans, problems = compile_plans(declared)
    assert not problems
    assert list(plans) == ["/shop.v1.DeclaredService/GetPage"]
    first, second = plans["/shop.v1.DeclaredService/GetPage"].nodes
    assert first.step.timeout == 1.5
    assert second.step.for_each.variable == "id"
    assert second.fan_out.max_concurrency == 4
    assert second.step.optional


def test_composed_methods_may_not_call_each_other_in_a_circle(shop):
    loops = {"shop.v1.LoopService": shop.services["shop.v1.LoopService"]}
    _, problems = compile_plans(loops)
    assert list(map(str, problems)) == [
        (
            "shop.v1.LoopService.One (gateway.v1.compose): composed methods call each other: "
            "/shop.v1.LoopService/One -> /shop.v1.LoopService/Two -> /shop.v1.LoopService/One"
        )
    ]


def test_problems_of_declared_methods_have_their_path(shop):
    alone = {"shop.v1.DeclaredService": shop.services["shop.v1.DeclaredService"]}
    plans, problems = compile_plans(alone)
    assert not plans
    path = "shop.v1.DeclaredService.GetPage (gateway.v1.compose)"
    assert list(map(str, problems)) == [
        f'{path}.steps[0].call: unknown service "shop.v1.CatalogService"; did you mean "shop.v1.DeclaredService"?',
        f'{path}.steps[1].call: unknown service "shop.v1.CatalogService"; did you mean "shop.v1.DeclaredService"?',
    ]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        pytest.param("", ["steps: is empty: a composition needs at least one backend call"], id="no steps"),
        pytest.param(
            step("", ORDER) + step("Order", ORDER) + step("request", ORDER) + step("true", ORDER),
            [
                'steps[0].name: "" is not a lower_snake_case name',
                'steps[1].name: "Order" is not a lower_snake_case name',
                'steps[2].name: "request" has another meaning in expressions',
                'steps[3].name: "true" has another meaning in expressions',
            ],
            id="bad names",
        ),
        pytest.param(
            CATALOG + step("catalog", ORDER) + USES_CATALOG,
            ['steps[1].name: "catalog" is also the name of steps[0]'],
            id="duplicate name",
        ),
        pytest.param(
            "".join(
                step(f"s{index}", f'call: "{call}"')
                for index, call in enumerate(
                    [
                        "",
                        "GetProduct",
                        "/shop.v1.CatalogService/GetProduct",
                        "shop.v1.CatalogService/",
                        "shop.v1.CatlogService/GetProduct",
                        "shop.v1.CatalogService/GetProducts",
                        "shop.v1.CatalogService/WatchProducts",
                        "shop.v1.StorefrontService/GetPage",
                    ]
                )
            ),
            [
                'steps[0].call: "" is not of the form "package.Service/Method"',
                'steps[1].call: "GetProduct" is not of the form "package.Service/Method"',
                'steps[2].call: "/shop.v1.CatalogService/GetProduct" is not of the form "package.Service/Method"',
                'steps[3].call: "shop.v1.CatalogService/" is not of the form "package.Service/Method"',
                'steps[4].call: unknown service "shop.v1.CatlogService"; did you mean "shop.v1.CatalogService"?',
                'steps[5].call: shop.v1.CatalogService has no method "GetProducts"; did you mean "GetProduct"?',
                'steps[6].call: "shop.v1.CatalogService/WatchProducts" streams: a step can only call a unary method',
                'steps[7].call: "shop.v1.StorefrontService/GetPage" is the composed method itself',
            ],
            id="bad calls",
        ),
        pytest.param(
            step("catalog", more="timeout: {}", id="request.product_id")
            + step("order", ORDER, more="timeout: { seconds: -1 }")
            + USES_CATALOG,
            ["steps[0].timeout: 0 s is not more than 0", "steps[1].timeout: -1 s is not more than 0"],
            id="bad timeouts",
        ),
        pytest.param(
            step("catalog", id="request.prodct_id") + USES_CATALOG,
            [
                (
                    'steps[0].request["id"]: shop.v1.GetPageRequest has no field "prodct_id"; '
                    'did you mean "product_id"?'
                )
            ],
            id="bad request expression",
        ),
        pytest.param(
            step(
                "catalog",
                'call: "shop.v1.CatalogService/GetProducts"',
                id="request.prodct_id",
                kind="SOME_VALUE",
            )
            + USES_CATALOG,
            [
                'steps[0].call: shop.v1.CatalogService has no method "GetProducts"; did you mean "GetProduct"?',
                (
                    'steps[0].request["id"]: shop.v1.GetPageRequest has no field "prodct_id"; '
                    'did you mean "product_id"?'
                ),
            ],
            id="bad request expression of an unknown method",
        ),
        pytest.param(
            CATALOG
            + 'response: { field: "product" value: "catalgo" } response: { field: "tags" value: "catalog" }',
            [
                'response["product"]: unknown name "catalgo"; did you mean "catalog"?',
                'response["tags"]: "catalog" is shop.v1.Product, and the field is repeated string',
            ],
            id="bad response expressions",
        ),
        pytest.param(
            CATALOG + USES_CATALOG + 'response: { field: "product.id" value: "catalog.id" }',
            ['response["product.id"]: conflicts with "product": "product.id" is inside "product"'],
            id="conflict",
        ),
        pytest.param(
            step("a", id="b.id")
            + step("b", id="c.id")
            + step("c", id="a.id")
            + step("d", ORDER, product_id="a.id"),
            ["steps: steps need each other: a -> b -> c -> a"],
            id="cycle",
        ),
        pytest.param(
            step("a", ORDER, product_id="a.id")
            + step("b", ORDER, product_id="c.id")
            + step("c", ORDER, product_id="b.id"),
            ["steps: steps need each other: a -> a", "steps: steps need each other: b -> c -> b"],
            id="cycles",
        ),
        pytest.param(
            step("a", more='for_each: { over: "a[].tags" max_concurrency: 1 }', id="item"),
            ["steps: steps need each other: a -> a"],
            id="cycle through for_each",
        ),
        pytest.param(
            step("a", more='for_each: { over: "request.product_id" }', id="item")
            + 'response: { field: "related" value: "a" }',
            [
                "steps[0].for_each.max_concurrency: 0 is not between 1 and 1000; it has no default",
                'steps[0].for_each.over: "request.product_id" is string, not a list',
            ],
            id="for_each over no list",
        ),
        pytest.param(
            "".join(
                step(f"s{index}", ORDER, more=f'for_each: {{ over: "{over}" max_concurrency: 1001 }}')
                for index, over in enumerate(["", "12", "request.example.labels", "nobody[]"])
            ),
            [
                line
                for index, problem in enumerate(
                    [
                        'is empty: write a path such as "request.id", or a literal',
                        "a literal is no list",
                        '"request.example.labels" is map<string, string>, not a list',
                        'unknown name "nobody"',
                    ]
                )
                for line in (
                    f"steps[{index}].for_each.max_concurrency: 1001 is not between 1 and 1000; it has no default",
                    f"steps[{index}].for_each.over: {problem}",
                )
            ],
            id="for_each over nothing",
        ),
        pytest.param(
            CATALOG
            + USES_CATALOG
            + "".join(
                step(
                    f"s{index}",
                    ORDER,
                    more=f'for_each: {{ over: "request.related_ids" as: "{name}" max_concurrency: 1 }}',
                )
                for index, name in enumerate(["Item", "request", "catalog"])
            ),
            [
                'steps[1].for_each.as: "Item" is not a lower_snake_case name',
                'steps[2].for_each.as: "request" has another meaning in expressions',
                'steps[3].for_each.as: "catalog" is also the name of a step',
            ],
            id="bad item names",
        ),
        pytest.param(
            step("a", more='for_each: { over: "request.related_ids" as: "id" max_concurrency: 1 }', id="item")
            + 'response: { field: "product" value: "a" }',
            [
                'steps[0].request["id"]: unknown name "item"',
                'response["product"]: "a" is repeated shop.v1.Product, and the field is shop.v1.Product',
            ],
            id="the item has one name, and the result is a list",
        ),
        pytest.param(
            CATALOG + 'response: { field: "tags" value: "item.tags" }',
            [
                'response["tags"]: unknown name "item"',
                (
                    'steps[0]: nothing uses the result of "catalog", and shop.v1.CatalogService.GetProduct is declared '
                    "to have no other effect (NO_SIDE_EFFECTS)"
                ),
            ],
            id="an item is known in its step only; a read nobody uses",
        ),
        pytest.param(
            step("a", more="optional: true", id="request.product_id")
            + step("b", ORDER, product_id="a.id")
            + step("c", ORDER, more='for_each: { over: "a.tags" max_concurrency: 1 }', product_id="item"),
            [
                (
                    'steps[1].request["product_id"]: "b" is required and uses "a", which is optional: '
                    'make "a" required, or "b" optional too'
                ),
                (
                    'steps[2].for_each.over: "c" is required and uses "a", which is optional: '
                    'make "a" required, or "c" optional too'
                ),
            ],
            id="a required step needs an optional one",
        ),
        pytest.param(
            CATALOG + USES_CATALOG + 'response: { field: "omitted" value: "request.related_ids" }',
            [
                (
                    'response["omitted"]: "request.related_ids" is repeated string, '
                    "and the field is repeated gateway.v1.OmittedStep"
                ),
                'response["omitted"]: is filled by the gateway with the omitted steps',
            ],
            id="the list of omitted steps is bound",
        ),
    ],
)
def test_problems(shop, text, problems):
    assert shop.problems(text) == problems


@pytest.mark.parametrize(
    ("method", "has"),
    [
        ("GetPlain", "shop.v1.PlainResponse has none"),
        ("GetTwice", "shop.v1.TwiceResponse has 2 (missing, omitted)"),
    ],
)
def test_an_optional_step_must_have_a_place_where_its_absence_shows(shop, method, has):
    text = step("a", ORDER) + step("b", ORDER, more="optional: true")
    assert shop.problems(text, method) == [
        (
            "steps[1].optional: optional steps need exactly one `repeated gateway.v1.OmittedStep` field "
            f"in the response, and {has}"
        )
    ]


def test_a_streaming_method_is_not_composed(shop):
    problems = shop.problems(CATALOG + USES_CATALOG, "WatchPage")
    assert problems == [": only a unary method can be composed, and this one streams"]


def test_a_call_for_its_effect_needs_no_use(shop):
    assert [node.name for node in shop.plan(step("order", ORDER)).nodes] == ["order"]


def test_an_unknown_call_causes_no_further_problems(shop):
    """What is unknown because of one problem is not reported again wherever it is used."""
    text = (
        step("a", 'call: "shop.v1.Nothing/Get"', bogus="request.product_id")
        + step("b", ORDER, more='for_each: { over: "a.xs[]" max_concurrency: 1 }', product_id="item.anything")
        + 'response: { field: "product" value: "a.product" }'
    )
    assert shop.problems(text) == ['steps[0].call: unknown service "shop.v1.Nothing"']
