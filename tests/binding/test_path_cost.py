"""What a unary call costs, in functions of the mesh entered on its path: the same on a busy machine as on a quiet one."""

from __future__ import annotations

import collections
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

import mesh
from mesh.call import Side

from .node import GET, SERVICE, runtime

PACKAGE = Path(mesh.__file__).parent

SWITCHED_ON = {
    Side.CLIENT: ("deadline", "metrics", "trace", "retry", "circuit_breaker", "client_concurrency"),
    Side.SERVER: ("deadline", "metrics", "trace", "load_report"),
}
"""The sections that are on by default and that this side's chain enforces."""

CARRIED = {Side.CLIENT: {"stage.trace", "stage.deadline"}, Side.SERVER: {"stage.trace"}}
"""Stages that stay when their policy is switched off: what is left upstream, and whose trace it is, is handed on."""


def off(*sections: str) -> str:
    return f"defaults: {{{', '.join(f'{section}: {{enabled: false}}' for section in sections)}}}"


@contextlib.contextmanager
def entered() -> Iterator[collections.Counter[str]]:
    """Count the functions of the mesh that are entered, resumed coroutines and generators included."""
    functions: collections.Counter[str] = collections.Counter()

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            file = Path(frame.f_code.co_filename)
            if file.is_relative_to(PACKAGE):
                functions[
                    f"{'.'.join(file.relative_to(PACKAGE).with_suffix('').parts)}.{frame.f_code.co_name}"
                ] += 1

    sys.setprofile(note)
    try:
        yield functions
    finally:
        sys.setprofile(None)


@contextlib.asynccontextmanager
async def calling(side: Side, policies: str) -> AsyncIterator[Any]:
    """A method behind a plain server and a mesh channel, or a mesh server's interceptors and a plain channel."""
    using = runtime(policies)

    async def answer(request: bytes, context: Any) -> bytes:
        return b"answer"

    interceptors = mesh.server_interceptors("shop", using=using) if side is Side.SERVER else ()
    server = grpc.aio.server(interceptors=interceptors)
    handlers = {"Get": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    channel = (
        mesh.channel(address, using=using) if side is Side.CLIENT else grpc.aio.insecure_channel(address)
    )
    async with channel:
        yield channel.unary_unary(GET)
    await server.stop(None)


async def cost(side: Side, policies: str = "") -> collections.Counter[str]:
    async with calling(side, policies) as method:
        for _ in range(3):  # compiles the chain and meets every status's histogram
            await method(b"", timeout=5.0)
        with entered() as functions:
            await method(b"", timeout=5.0)
    return functions


def parts(functions: collections.Counter[str], package: str) -> set[str]:
    """The modules of a package that took part."""
    return {name.rpartition(".")[0] for name in functions if name.startswith(f"{package}.")}


# A new function on a path is a decision: raise the number with the reason in the commit, or save one elsewhere.
# Bare: the multicallable, its call object and what ends it; the engine's generator, entered twice. A server: the
# interceptor, the handler around the handler, the engine.
@pytest.mark.parametrize(("side", "most"), [(Side.CLIENT, 25), (Side.SERVER, 14)])
async def test_a_call_without_policies_enters_little(side, most):
    functions = await cost(side, off(*SWITCHED_ON[side]))

    assert functions.total() <= most, functions
    assert parts(functions, "stage") <= CARRIED[side]
    assert not parts(functions, "mechanism")


# What is on by default, about two functions for each stage and one or two for each mechanism.
@pytest.mark.parametrize(("side", "most"), [(Side.CLIENT, 43), (Side.SERVER, 25)])
async def test_a_call_with_default_policies_enters_what_they_ask_for(side, most):
    functions = await cost(side)

    assert functions.total() <= most, functions


@pytest.mark.parametrize(
    ("side", "section"), [(side, section) for side in Side for section in SWITCHED_ON[side]]
)
async def test_a_policy_that_is_switched_off_costs_nothing(side, section):
    """Neither its stage nor its mechanism is entered, and nothing takes their place."""
    before = await cost(side)
    after = await cost(side, off(section))

    # Between attempts there is always a decision, if only that there are no others.
    assert not after - before - collections.Counter({"engine.begin": 1})
    left = parts(after, "stage") | parts(after, "mechanism")
    gone = (parts(before, "stage") | parts(before, "mechanism")) - left
    assert gone or f"stage.{section}" in CARRIED[side]


@pytest.mark.parametrize("side", list(Side))
async def test_policies_nobody_asked_for_are_not_on_the_path(side):
    functions = await cost(side)
    asked_for = {"client_concurrency": "concurrency", "circuit_breaker": "breaker"}
    stages = {f"stage.{asked_for.get(section, section)}" for section in SWITCHED_ON[side]}

    assert parts(functions, "stage") <= stages | {"stage.attempt_metrics"}
