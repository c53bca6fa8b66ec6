"""A run on an event loop, with calls that end when the test says so. Nothing sleeps."""

from __future__ import annotations

import asyncio
import contextvars
import gc

import pytest

from gateway.compose import execute
from mesh.call import Code, Outcome

GET = 'call: "shop.v1.CatalogService/GetProduct"'
ORDER = 'call: "shop.v1.OrderService/PlaceOrder"'
GONE = Outcome(int(Code.UNAVAILABLE), "gone", trailing=(("x", "1"),))

# first -> left -> after
# first -> right?
PAGE = f"""
steps: {{ name: "first" {GET} request: {{ field: "id" value: "request.product_id" }} }}
steps: {{ name: "left" {GET} request: {{ field: "id" value: "first.id" }} }}
steps: {{ name: "right" {GET} request: {{ field: "id" value: "first.id" }} optional: true }}
steps: {{ name: "after" {ORDER} request: {{ field: "product_id" value: "left.id" }} }}
response: {{ field: "product" value: "left" }} response: {{ field: "second" value: "right" }}
response: {{ field: "order" value: "after" }}
"""
EACH = f"""
steps: {{
  name: "each" {GET} optional: true request: {{ field: "id" value: "item" }}
  for_each: {{ over: "request.related_ids" max_concurrency: 2 }}
}}
steps: {{ name: "other" {ORDER} }}
response: {{ field: "related" value: "each" }}
"""


class Backends:
    """An invoke whose calls wait for the test: one future per call, by the order in which they were made."""

    def __init__(self, shop):
        self.shop = shop
        self.made = []
        self.futures = []
        self.cancelled = []
        self.cleaning_up = None
        self.arrived = asyncio.Event()

    async def invoke(self, method, request, timeout):
        number = len(self.made)
        self.made.append((method.rpartition("/")[2], request, timeout))
        self.futures.append(asyncio.get_running_loop().create_future())
        self.arrived.set()
        try:
            return await self.futures[number]
        except asyncio.CancelledError:
            if self.cleaning_up is not None:
                await self.cleaning_up.wait()
            self.cancelled.append(number)
            raise

    async def calls(self, count):
        """Wait until so many calls have been made."""
        while len(self.made) < count:
            self.arrived.clear()
            await self.arrived.wait()

    def answer(self, number, text):
        name = "Order" if self.made[number][0] == "PlaceOrder" else "Product"
        self.end(number, Outcome(0, value=self.shop.new(name, id=text).SerializeToString()))

    def end(self, number, outcome):
        self.futures[number].set_result(outcome)


@pytest.fixture
async def backends(shop):
    """A fixture that checks the one rule that always holds: no task outlives its execution."""
    yield Backends(shop)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def settle():
    """Let everything that can run without another answer run."""
    for _ in range(10):
        await asyncio.sleep(0)


def begin(shop, backends, text=PAGE, deadline=None, **fields):
    request = shop.new("GetPageRequest", **(fields or {"product_id": "p"}))
    return asyncio.create_task(
        execute(shop.plan(text), request, backends.invoke, now=lambda: 100.0, deadline=deadline)
    )


async def test_a_page_in_two_stages(shop, backends):
    task = begin(shop, backends, deadline=107.0)
    await backends.calls(1)
    assert backends.made == [("GetProduct", shop.new("GetProductRequest", id="p").SerializeToString(), None)]
    backends.answer(0, "f")
    await backends.calls(3)
    backends.answer(2, "r")
    backends.answer(1, "l")
    await backends.calls(4)
    assert backends.made[3] == (
        "PlaceOrder",
        shop.new("PlaceOrderRequest", product_id="l").SerializeToString(),
        None,
    )
    backends.answer(3, "o")
    result = await task
    assert result.outcome.code == 0
    page = result.outcome.value
    assert (page.product.id, page.second.id, page.order.id) == ("l", "r", "o")
    assert not result.omitted


async def test_there_is_no_barrier(shop, backends):
    """`after` needs `left` only: `right`, of the same level as `left`, is still out when it starts."""
    task = begin(shop, backends)
    await backends.calls(1)
    backends.answer(0, "f")
    await backends.calls(3)
    backends.answer(1, "l")
    await backends.calls(4)
    assert not backends.futures[2].done()
    backends.answer(3, "o")
    await settle()
    assert not task.done()
    backends.answer(2, "r")
    assert (await task).outcome.value.second.id == "r"


async def test_a_failed_required_step_cancels_the_others_and_is_the_answer(shop, backends):
    task = begin(shop, backends)
    await backends.calls(1)
    backends.answer(0, "f")
    await backends.calls(3)
    backends.end(1, GONE)
    assert (await task).outcome == GONE._replace(details='step "left": gone')
    assert backends.cancelled == [2]
    assert len(backends.made) == 3


async def test_a_step_that_fails_alone_is_the_answer(shop, backends):
    task = begin(shop, backends)
    await backends.calls(1)
    backends.end(0, GONE)
    assert (await task).outcome == GONE._replace(details='step "first": gone')
    assert len(backends.made) == 1


async def test_a_failed_optional_step_is_listed(shop, backends):
    task = begin(shop, backends)
    await backends.calls(1)
    backends.answer(0, "f")
    await backends.calls(3)
    backends.end(2, GONE)
    backends.answer(1, "l")
    await backends.calls(4)
    backends.answer(3, "o")
    result = await task
    assert result.outcome.value == shop.new(
        "GetPageResponse",
        """product { id: "l" } order { id: "o" }
        omitted { step: "right" status: "UNAVAILABLE" message: "gone" fields: "second" }""",
    )
    assert not backends.cancelled


async def test_a_failed_optional_fan_out_cancels_its_own_calls_only(shop, backends):
    task = begin(shop, backends, EACH, related_ids=["x", "y", "z"])
    await backends.calls(3)
    backends.end(1, GONE)
    await settle()
    assert backends.cancelled == [0]
    assert not task.done()
    backends.answer(2, "o")
    result = await task
    assert [omission.details for omission in result.omitted] == ["item 2 of 3: gone"]
    assert len(backends.made) == 3


async def test_a_fan_out_keeps_to_its_bound(shop, backends):
    task = begin(shop, backends, EACH, related_ids=["a", "b", "c"])
    await backends.calls(3)  # two items, and the other step
    backends.answer(1, "B")
    await backends.calls(4)
    backends.answer(3, "C")
    backends.answer(0, "A")
    backends.answer(2, "o")
    assert [product.id for product in (await task).outcome.value.related] == ["A", "B", "C"]


@pytest.mark.parametrize("answered", [0, 1])
async def test_cancelling_the_execution_cancels_every_call(shop, backends, answered):
    """Whether one call is in flight, awaited in place, or several are, as tasks."""
    task = begin(shop, backends)
    await backends.calls(1)
    if answered:
        backends.answer(0, "f")
        await backends.calls(3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert backends.cancelled == ([1, 2] if answered else [0])


async def test_no_call_outlives_the_execution_however_often_it_is_cancelled(shop, backends):
    backends.cleaning_up = asyncio.Event()
    task = begin(shop, backends)
    await backends.calls(1)
    backends.answer(0, "f")
    await backends.calls(3)
    for _ in range(3):
        task.cancel()
        await settle()
    assert not task.done()
    assert not backends.cancelled
    backends.cleaning_up.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert backends.cancelled == [1, 2]


async def test_a_result_waits_until_the_cancelled_calls_have_cleaned_up(shop, backends):
    backends.cleaning_up = asyncio.Event()
    task = begin(shop, backends)
    await backends.calls(1)
    backends.answer(0, "f")
    await backends.calls(3)
    backends.end(1, GONE)
    await settle()
    assert not task.done()
    backends.cleaning_up.set()
    assert (await task).outcome.code == Code.UNAVAILABLE


@pytest.mark.parametrize("answered", [0, 1])
async def test_an_exception_from_the_invoke_is_raised_after_cancelling(shop, backends, answered):
    task = begin(shop, backends)
    await backends.calls(1)
    if answered:
        backends.answer(0, "f")
        await backends.calls(3)
    fault = RuntimeError("a bug")
    backends.futures[-1].set_exception(fault)
    with pytest.raises(RuntimeError) as caught:
        await task
    assert caught.value is fault
    assert backends.cancelled == ([1] if answered else [])


async def test_an_invoke_that_raises_before_it_waits(shop, backends):
    """It does so in a callback, at the end of another call: the executing task raises it all the same."""
    fault = RuntimeError("a bug")

    def invoke(method, request, timeout):
        if method.endswith("/PlaceOrder"):
            raise fault
        return backends.invoke(method, request, timeout)

    task = asyncio.create_task(
        execute(shop.plan(PAGE), shop.new("GetPageRequest"), invoke, now=lambda: 0.0, deadline=None)
    )
    await backends.calls(1)
    backends.answer(0, "f")
    await backends.calls(3)
    backends.answer(1, "l")
    with pytest.raises(RuntimeError) as caught:
        await task
    assert caught.value is fault
    assert backends.cancelled == [2]


async def test_a_call_that_cancels_itself_cancels_the_execution(shop, backends):
    """Never swallow a CancelledError: an invoke reports a cancelled RPC as an outcome."""
    task = begin(shop, backends)
    await backends.calls(1)
    backends.answer(0, "f")
    await backends.calls(3)
    backends.futures[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert backends.cancelled == [1, 2]


async def test_an_exception_of_a_call_nobody_waits_for_is_logged(shop, backends):
    """It is no answer any more, and no secret either."""
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
    fault = RuntimeError("a bug while cleaning up")

    async def invoke(method, request, timeout):
        try:
            return await backends.invoke(method, request, timeout)
        except asyncio.CancelledError:
            raise fault from None

    task = asyncio.create_task(
        execute(shop.plan(PAGE), shop.new("GetPageRequest"), invoke, now=lambda: 0.0, deadline=None)
    )
    await backends.calls(1)
    backends.answer(0, "f")
    await backends.calls(3)
    backends.end(1, GONE)
    assert (await task).outcome.code == Code.UNAVAILABLE
    del task
    gc.collect()
    assert reported == [fault]


async def test_an_invoke_may_answer_with_a_future(shop, backends):
    """What is in flight from the moment it is created needs no task around it; calls may share one."""
    order = asyncio.get_running_loop().create_future()
    order.set_result(Outcome(0, value=b""))
    text = "".join(f'steps: {{ name: "{name}" {ORDER} }}' for name in "abc")
    result = await execute(
        shop.plan(text), shop.new("GetPageRequest"), lambda *_: order, now=lambda: 0.0, deadline=None
    )
    assert result.outcome.value == shop.new("GetPageResponse")


async def test_every_step_runs_in_the_callers_context(shop, backends):
    """Also those started when another ends: the call that they belong to is found through it."""
    current = contextvars.ContextVar("current")
    seen = []

    async def invoke(method, request, timeout):
        seen.append(current.get())
        return await backends.invoke(method, request, timeout)

    async def run():
        current.set("the call")
        return await execute(
            shop.plan(PAGE), shop.new("GetPageRequest"), invoke, now=lambda: 0.0, deadline=None
        )

    task = asyncio.create_task(run())
    await backends.calls(1)
    for number, text in enumerate("flro"):
        await backends.calls(number + 1)
        backends.answer(number, text)
    await task
    assert seen == ["the call"] * 4


async def test_no_call_when_the_deadline_has_passed(shop, backends):
    result = await begin(shop, backends, deadline=99.0)
    assert result.outcome.code == Code.DEADLINE_EXCEEDED
    assert not backends.made
