"""What the demo shows: a visit to the shop over REST, and what must be true of each answer for it to be right."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from client import Answer, Client
from show import Printer

FAVOURITES = ("enamel-mug", "fountain-pen", "canvas-rucksack", "wool-blanket", "pocket-knife")
ITEMS = ({"productId": "enamel-mug", "quantity": 2}, {"productId": "pocket-notebook", "quantity": 1})
PAUSE = 0.3
"""Seconds a visitor looks at a page."""

Facts = Callable[[Any], dict[str, bool]]


class Tour:
    """One visit. Names are new each time, so that it can be repeated on a running shop."""

    def __init__(self, client: Client, printer: Printer) -> None:
        self._client = client
        self._printer = printer
        visit = secrets.token_hex(3)
        self._cart = f"/v1/carts/visitor-{visit}"
        self._checkout = {
            "cartId": f"visitor-{visit}",
            "email": f"ada+{visit}@example.org",
            "address": {
                "recipient": "Ada Lovelace",
                "lines": ["Lindenallee 7"],
                "postalCode": "04105",
                "city": "Leipzig",
                "countryCode": "DE",
            },
            "payment": {"cardToken": "tok_visa"},
        }
        self._wrong = 0

    async def run(self) -> bool:
        """Make all the calls, show them, and return whether every answer was right."""
        await self._browse()
        await self._refuse()
        await self._buy()
        await self._look_back()
        await self._read()
        return not self._wrong

    async def _browse(self) -> None:
        await self._call(
            "One RPC as REST: query parameters go into nested and repeated fields, and pages follow",
            "GET",
            _path(
                "/v1/products",
                ("filter.categories", "CATEGORY_KITCHEN"),
                ("filter.tags", "coffee"),
                ("orderBy", "PRODUCT_ORDER_WEIGHT"),
                ("pageSize", 2),
            ),
            lambda page: {
                "the two lightest of four": page["totalSize"] == 4
                and [product["productId"] for product in page["products"]] == ["enamel-mug", "moka-pot"],
                "there is a next page": bool(page["nextPageToken"]),
            },
        )
        await self._call(
            "A composed page: ten backend calls in two stages answer one request",
            "GET",
            _path("/v1/pages/products/moka-pot", ("currencyCode", "CHF"), ("countryCode", "CH")),
            lambda page: {
                "the catalog described it": page["product"]["title"] == "Moka pot, three cups",
                "pricing took 15 % off, in francs rounded to five rappen": page["price"]["percentOff"] == 15
                and page["price"]["price"] == {"currencyCode": "CHF", "units": "30", "nanos": 950_000_000},
                "inventory, reviews and shipping answered too": page["stock"]["available"] > 0
                and page["rating"]["count"] >= 2
                and page["delivery"]["price"]["currencyCode"] == "CHF",
                "each related product came from a call of its own": [
                    product["productId"] for product in page["related"]
                ]
                == ["enamel-mug", "hand-grinder", "pour-over-kettle"],
                "nothing had to be left out": not page.get("omitted"),
            },
        )

    async def _refuse(self) -> None:
        await self._call(
            "A wrong request: google.rpc.Status with every field violation, from the service to the browser",
            "POST",
            "/v1/products/moka-pot/reviews",
            lambda error: {
                "it says INVALID_ARGUMENT": error["code"] == 3,
                "both wrong fields are named": [
                    violation["field"] for violation in error["details"][0]["fieldViolations"]
                ]
                == ["review.stars", "review.text"],
            },
            body={"author": "Ada", "stars": 6},
            status=400,
        )

    async def _buy(self) -> None:
        for item in ITEMS:
            await self._call(
                f"Into the cart: {item['quantity']} x {item['productId']}",
                "POST",
                f"{self._cart}/items",
                functools.partial(_in_cart, item),
                body=item,
            )
        watch = "/v1/stock:watch?productIds=enamel-mug"
        self._printer.heading("A server stream as NDJSON: the stock now, and every change from here on")
        self._printer.request("GET", self._client.base + watch, stream=True)
        stream = await self._client.stream(watch)
        try:
            self._printer.status(stream.head.status, stream.head.reason, stream.head.seconds)
            now = await self._line(stream, lambda line: {"the stock as it is": "current" in line["result"]})
            await self._call(
                "Checkout, composed of writes: read the cart; reserve and quote; place the order; empty the cart",
                "POST",
                "/v1/checkout",
                lambda answer: {
                    "the order is placed and has a parcel": answer["order"]["state"] == "ORDER_STATE_PLACED"
                    and bool(answer["order"]["shipment"]["trackingCode"]),
                    "it adds up: 2 x 18.50 + 12.00 + 4.22 for 0.53 kg to Leipzig": answer["order"]["total"]
                    == {"currencyCode": "EUR", "units": "53", "nanos": 220_000_000},
                    "nothing was left undone": not answer.get("omitted"),
                },
                body=self._checkout,
            )
            self._printer.heading("Meanwhile, on the stream")
            await self._line(
                stream,
                lambda line: {
                    "two mugs fewer, because somebody reserved them": line["result"]["change"]["difference"]
                    == -2
                    and line["result"]["change"]["stock"]["available"]
                    == now["result"]["current"]["available"] - 2
                },
            )
        finally:
            stream.close()

    async def _look_back(self) -> None:
        email = self._checkout["email"]
        listed = await self._call(
            "The order, found again",
            "GET",
            _path("/v1/orders", ("email", email), ("states", "ORDER_STATE_PLACED")),
            lambda page: {"there is one": len(page["orders"]) == 1},
        )
        await self._call(
            "Buying the same cart twice: it is empty now, and a precondition says so",
            "POST",
            "/v1/checkout",
            lambda error: {
                "it says FAILED_PRECONDITION": error["code"] == 9,
                "and what is missing": error["details"][0]["violations"][0]["type"] == "ITEMS",
            },
            body=self._checkout,
            status=400,
        )
        if listed is not None:
            name = listed["orders"][0]["name"]
            await self._call(
                "Second thoughts: a resource name in the path, a custom verb behind it",
                "POST",
                f"/v1/{name}:cancel",
                lambda order: {"it is called off": order["state"] == "ORDER_STATE_CANCELLED"},
                body={"reason": "I have enough mugs."},
            )

    async def _read(self) -> None:
        self._printer.heading("Documentation, made from the comments in the protos")
        openapi = await self._client.call("GET", "/openapi.json")
        docs = await self._client.call("GET", "/docs")
        self._check(
            _judge(
                openapi,
                lambda document: {
                    f"{self._client.base}/openapi.json is OpenAPI 3.1, and has every page": document[
                        "openapi"
                    ].startswith("3.1")
                    and {"/v1/checkout", "/v1/pages/products/{productId}"} <= document["paths"].keys()
                },
                200,
            )
            | _judge(docs, lambda page: {f"{self._client.base}/docs shows it": "<html" in page}, 200)
        )

    async def _call(
        self, heading: str, method: str, path: str, facts: Facts, *, body: Any = None, status: int = 200
    ) -> Any:
        """Make one call and show it; return the answer if it was right."""
        self._printer.heading(heading)
        self._printer.request(method, self._client.base + path, body)
        try:
            answer = await self._client.call(method, path, body)
        except OSError as error:
            self._check({f"there is an answer ({error})": False})
            return None
        self._printer.status(answer.status, answer.reason, answer.seconds)
        self._printer.answer(answer.body, whole=answer.status >= 400)
        return answer.body if self._check(_judge(answer, facts, status)) else None

    async def _line(self, stream: Any, facts: Facts) -> Any:
        line = await asyncio.wait_for(stream.line(), 5)
        self._printer.answer(line, whole=True)
        self._check(_judge(Answer(200, "", line, 0.0), facts, 200))
        return line

    def _check(self, facts: dict[str, bool]) -> bool:
        self._printer.facts(facts)
        wrong = sum(not holds for holds in facts.values())
        self._wrong += wrong
        return not wrong


async def browse(client: Client, number: int) -> None:
    """Be a visitor who looks at one page after the other, until cancelled."""
    pages = itertools.cycle(("/v1/pages/home", *(f"/v1/pages/products/{name}" for name in FAVOURITES)))
    for page in itertools.islice(pages, number, None):
        with contextlib.suppress(OSError):  # the gateway was restarted: what a visitor does then is try again
            await client.call("GET", page)
        await asyncio.sleep(PAUSE)


def _judge(answer: Answer, facts: Facts, status: int) -> dict[str, bool]:
    if answer.status != status:
        return {f"the status is {status}": False}
    try:
        return facts(answer.body)
    except (KeyError, IndexError, TypeError) as error:
        return {f"the answer has all its parts ({error!r})": False}


def _in_cart(item: dict[str, Any], answer: Any) -> dict[str, bool]:
    return {"it is in the cart": answer["items"][-1] == item}


def _path(path: str, *query: tuple[str, Any]) -> str:
    return f"{path}?{urlencode(query, quote_via=quote, safe='@')}"
