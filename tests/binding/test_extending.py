"""docs/extending.md: its example does what it says, and plain interceptors work before and after the mesh's."""

from __future__ import annotations

import pathlib
import re

import grpc
import pytest

import mesh
import mesh.sync

from .node import BUY, GET, Node, runtime

PAGE = pathlib.Path(__file__).parents[2] / "docs/extending.md"


def example() -> dict[str, object]:
    (code,) = re.findall(r"^```python tenant\.py\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    exec(compile(code, "tenant.py", "exec"), names)  # noqa: S102 - the page's own code
    return names


async def test_the_pages_example_refuses_and_reports(capsys):
    node = Node()
    server = example()["make_server"](listen="127.0.0.1:0", lame_duck=0.0, using=runtime())
    node.add_to(server)
    address = await server.start()
    try:
        async with mesh.channel(address, using=runtime()) as channel:
            call = channel.unary_unary(GET)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(b"")
            assert b"node" == await call(b"", metadata=(("tenant", "us"),))
    finally:
        await server.stop()

    assert grpc.StatusCode.INVALID_ARGUMENT is caught.value.code()
    assert "say for whom: metadata `tenant` is missing" == caught.value.details()
    assert 1 == node.calls
    assert re.fullmatch(rf"{GET} took 0\.\d+ s and ended with 0\n", capsys.readouterr().out)


async def test_a_wrong_place_is_refused_when_the_channel_or_server_is_made():
    placed = [mesh.place(example()["Tenant"], after="deadlin")]

    for make in (
        lambda: mesh.channel("127.0.0.1:1", stages=placed, using=runtime()),
        lambda: mesh.client_interceptors("shop", stages=placed, using=runtime()),
        lambda: mesh.server("shop", stages=placed, using=runtime()),
        lambda: mesh.server_interceptors(stages=placed, using=runtime()),
        lambda: mesh.sync.channel("127.0.0.1:1", stages=placed, using=runtime()),
        lambda: mesh.sync.client_interceptors("shop", stages=placed, using=runtime()),
        lambda: mesh.sync.server("shop", stages=placed, using=runtime()),
        lambda: mesh.sync.server_interceptors(stages=placed, using=runtime()),
    ):
        with pytest.raises(mesh.ChainError, match='did you mean "deadline"'):
            make()


class Tries(mesh.Stage):
    """Counts attempts."""

    name = "tries"

    def __init__(self) -> None:
        self.count = 0

    def admit(self, call, now):
        self.count += 1


class Seen(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self) -> None:
        self.count = 0

    async def intercept_unary_unary(self, continuation, client_call_details, request):
        self.count += 1
        return await continuation(client_call_details, request)


class Heard(grpc.aio.ServerInterceptor):
    def __init__(self) -> None:
        self.methods: list[str] = []

    async def intercept_service(self, continuation, handler_call_details):
        self.methods.append(handler_call_details.method)
        return await continuation(handler_call_details)


async def test_interceptors_before_the_mesh_see_calls_and_those_after_it_attempts():
    node = await Node().start()
    failures = [True, False]

    async def flaky(request, context):
        if failures.pop(0):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return b"at last"

    node.answer = flaky
    before, after, tries = Seen(), Seen(), Tries()
    own = mesh.client_interceptors(
        "shop",
        stages=[mesh.place(tries, after="client_concurrency", per="attempt")],
        using=runtime(),
    )
    try:
        async with grpc.aio.insecure_channel(node.address, interceptors=[before, *own, after]) as channel:
            assert b"at last" == await channel.unary_unary(GET)(b"")
    finally:
        await node.server.stop()

    assert (1, 2, 2) == (before.count, after.count, tries.count)


async def test_interceptors_of_a_server_run_before_and_after_the_mesh():
    node, before, after = Node(), Heard(), Heard()
    server = grpc.aio.server(interceptors=[before, *mesh.server_interceptors(using=runtime()), after])
    node.add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with mesh.channel(f"127.0.0.1:{port}", using=runtime()) as channel:
            assert b"node" == await channel.unary_unary(BUY)(b"")
    finally:
        await server.stop(None)

    assert BUY in before.methods
    assert BUY in after.methods


async def test_interceptors_of_a_mesh_channel_run_once_for_each_call():
    node, seen = await Node().start(), Seen()
    try:
        async with mesh.channel(node.address, interceptors=[seen], using=runtime()) as channel:
            assert b"node" == await channel.unary_unary(GET)(b"")
    finally:
        await node.server.stop()

    assert 1 == seen.count
