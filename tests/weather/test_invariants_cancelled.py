"""A call through every feature, ended at each step of the event loop in turn: nothing stays taken, open or running."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import grpc.aio
import pytest

import mesh
import mesh.sync
from mesh.call import Arity
from tests.weather.invariant import Ledger, calm, taken, unsettled
from tests.weather.relay import HEDGE, METHODS, RETRY, Relay, quiet

pytestmark = pytest.mark.slow

AGAIN = {"retry": RETRY, "hedge": HEDGE}
MOST = 2000
"""More steps than a call has."""


class SteppedLoop(asyncio.SelectorEventLoop):
    """Does something once, right after so many callbacks: between any two of them a call may be cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self._left = 0
        self._action: Callable[[], object] | None = None

    def arm(self, steps: int, action: Callable[[], object]) -> None:
        self._left, self._action = steps, action

    def disarm(self) -> bool:
        """Return whether the action is still to come, which it will not."""
        armed, self._action = self._action is not None, None
        return armed

    def _counted(self, callback: Callable[..., object]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            try:
                callback(*arguments)
            finally:
                self._left -= 1
                if self._left <= 0 and self._action is not None:
                    action, self._action = self._action, None
                    action()

        return run

    def call_soon(self, callback, *arguments, context=None):
        return super().call_soon(self._counted(callback), *arguments, context=context)

    def call_soon_threadsafe(self, callback, *arguments, context=None):
        return super().call_soon_threadsafe(self._counted(callback), *arguments, context=context)

    def call_at(self, when, callback, *arguments, context=None):
        return super().call_at(when, self._counted(callback), *arguments, context=context)

    def add_reader(self, fd, callback, *arguments):
        return super().add_reader(fd, self._counted(callback), *arguments)


def run(main: Callable[[SteppedLoop], Coroutine[Any, Any, None]]) -> None:
    # What is there before is not looked at by the collector again, which this test calls all the time.
    gc.freeze()
    try:
        with asyncio.Runner(loop_factory=SteppedLoop) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, SteppedLoop)
            runner.run(main(loop))
    finally:
        gc.unfreeze()


async def each_step(
    loop: SteppedLoop, call: Callable[[], Coroutine[Any, Any, Any]], wrong: Callable[[], Any]
) -> list[type]:
    """Make the call again and again, cancelled one step later each time until it ends before; return how they ended."""
    endings: list[type] = []
    for step in range(1, MOST):
        task = loop.create_task(call())
        loop.arm(step, task.cancel)
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        through = loop.disarm()
        endings.append(type(ended))
        del (
            task,
            ended,
        )  # whose traceback holds the call, which through interceptors may end only when it is dropped
        await calm(wrong)
        if through:
            return endings
    raise AssertionError(f"{MOST} steps were not enough")


@pytest.mark.parametrize(
    ("again", "arity", "request_"),
    [
        *(("retry", arity, b"flaky") for arity in Arity),
        *(("hedge", arity, b"ok") for arity in Arity),
        # Where there is a fallback.
        *(("retry", arity, b"down") for arity in Arity if not arity.response_streams),
    ],
)
def test_a_call_and_the_call_made_while_handling_it(tmp_path, again, arity, request_):
    """Cancelling the first cancels the handler, whose own call goes through another chain: each step of both is hit."""

    async def main(loop: SteppedLoop) -> None:
        relay = Relay(tmp_path, AGAIN[again])
        async with relay.running():
            with contextlib.suppress(grpc.RpcError):
                await relay.call(arity, request_, wait_for_ready=True)
            await calm(lambda: relay.wrong)
            idle = len(asyncio.all_tasks())

            endings = await each_step(loop, lambda: relay.call(arity, request_), lambda: relay.wrong)

            assert endings.count(asyncio.CancelledError) > 20
            assert asyncio.CancelledError is not endings[-1]
            await calm(lambda: len(asyncio.all_tasks()) > idle)

    run(main)


@pytest.mark.parametrize("arity", Arity)
@pytest.mark.parametrize("again", AGAIN)
def test_a_call_through_interceptors(tmp_path, again, arity):
    """In a channel of the application's own, where grpc.aio runs the chain in tasks of its own."""

    async def main(loop: SteppedLoop) -> None:
        relay = Relay(tmp_path, AGAIN[again])
        interceptors = mesh.client_interceptors(
            "front", stages=relay.ledger.stages(client=True), using=relay.using
        )
        async with (
            relay.running(),
            grpc.aio.insecure_channel(relay.addresses[0], interceptors=interceptors) as relay.channel,
        ):
            relay.front.onward = None
            await relay.call(arity, wait_for_ready=True)

            endings = await each_step(loop, lambda: relay.call(arity, b"flaky"), lambda: relay.wrong)

            assert endings.count(asyncio.CancelledError) > 10

    run(main)


@pytest.mark.parametrize("arity", [arity for arity in Arity if arity.response_streams])
@pytest.mark.parametrize("again", AGAIN)
def test_a_stream_let_go_of_at_each_step_while_it_is_read(tmp_path, again, arity):
    """Not the task that reads is cancelled but the call, by somebody else."""

    async def main(loop: SteppedLoop) -> None:
        relay = Relay(tmp_path, AGAIN[again])
        async with relay.running():
            await relay.call(arity, wait_for_ready=True)
            method = getattr(relay.channel, arity.value)(METHODS[arity])
            endings = []
            for step in range(1, MOST):
                call = method([b"ok"] if arity.request_streams else b"ok")
                loop.arm(step, call.cancel)
                try:
                    async for _ in call:
                        pass
                    endings.append(type(None))
                except (asyncio.CancelledError, grpc.RpcError) as error:
                    endings.append(type(error))
                through = loop.disarm()
                del call
                await calm(lambda: relay.wrong)
                if through:
                    break

            assert endings.count(asyncio.CancelledError) > 20
            assert type(None) is endings[-1]

    run(main)


async def test_a_wire_cancelled_by_grpc_is_an_error_and_no_cancellation(tmp_path):
    """A task that nobody cancelled must not look so: a handler that ended like that would leave its client without a status."""
    relay = Relay(tmp_path)
    async with relay.running():
        call = relay.channel.stream_unary(METHODS[Arity.STREAM_UNARY])([b"hang"], wait_for_ready=True)
        await call.wait_for_connection()
        call._wire.cancel()  # as grpc.aio does when it cannot write the end of the requests any more

        with pytest.raises(grpc.RpcError) as caught:
            await call
        assert grpc.StatusCode.CANCELLED is caught.value.code()
        del call
        await calm(lambda: relay.wrong)


@pytest.mark.parametrize("arity", Arity)
def test_a_server_killed_at_each_step_of_a_call(tmp_path, arity):
    """Its handlers are cancelled wherever they are; their clients try again in vain, or not."""

    async def main(loop: SteppedLoop) -> None:
        relay = Relay(tmp_path)
        async with relay.running():
            await relay.call(arity, wait_for_ready=True)
            stopping: list[asyncio.Task[None]] = []
            killed = 0
            # A call has some 200 steps; each kill costs a new connection.
            for step in range(1, MOST, 5):
                loop.arm(step, lambda: stopping.append(loop.create_task(relay.back.stop())))
                with contextlib.suppress(grpc.RpcError):
                    await relay.call(arity, b"flaky")
                if loop.disarm():
                    break
                killed += 1
                await stopping.pop()
                await relay.back.start(relay.addresses[1])
                await calm(lambda: relay.wrong)
                with contextlib.suppress(grpc.RpcError):
                    await relay.call(arity, wait_for_ready=True)
            await calm(lambda: relay.wrong)

            assert killed > 10

    run(main)


@pytest.mark.parametrize("arity", Arity)
async def test_threads_that_cancel_later_each_time(tmp_path, arity):
    """The synchronous API cannot be stepped: its calls are cancelled after so many tenths of a millisecond."""
    relay = Relay(tmp_path, HEDGE)
    using, ledger = quiet(relay.front.file), Ledger()
    begun = 0

    def calls() -> None:
        nonlocal begun
        with mesh.sync.channel("front", using=using, stages=ledger.stages(client=True)) as channel:
            method = getattr(channel, arity.value)(METHODS[arity])
            start = method if arity.response_streams else method.future
            for step in range(150):
                call = start([b"ok"] if arity.request_streams else b"ok", wait_for_ready=True)
                begun += 1
                timer = threading.Timer(step / 10_000, call.cancel)
                timer.start()
                with contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
                    list(call) if arity.response_streams else call.result(timeout=10)
                timer.join()

    async with relay.running():
        await asyncio.to_thread(calls)
        await calm(lambda: relay.wrong | taken(using) | unsettled(ledger))

    assert 150 == begun
    assert 2 * begun == ledger.admitted["call"]
