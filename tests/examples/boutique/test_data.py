"""The data files agree with each other: what is sold has a price and a stock, and nothing else has."""

from services import data


def test_every_product_has_a_price_and_a_stock_and_nothing_else_has():
    products = {row["productId"] for row in data.load("products")}
    assert len(products) >= 20
    assert data.load("prices")["prices"].keys() == products
    assert data.load("stock").keys() == products


def test_reductions_reviews_and_baskets_are_about_products():
    products = {row["productId"] for row in data.load("products")}
    assert data.load("prices")["reductions"].keys() <= products
    assert data.load("reviews").keys() <= products
    assert {name for basket in data.load("baskets") for name in basket} <= products


def test_every_product_was_bought_with_another():
    products = {row["productId"] for row in data.load("products")}
    companions = {name for basket in data.load("baskets") if len(basket) > 1 for name in basket}
    assert companions == products
