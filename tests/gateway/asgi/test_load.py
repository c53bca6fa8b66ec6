"""A gateway is loaded from one backend or an environment, or refused with every problem."""

from __future__ import annotations

import socket

import pytest

from gateway.load import Source, load
from gateway.server import describe
from mesh.config.edge import ServerTls
from mesh.errors import ConfigError
from tests.gateway.asgi.backend import Backend


def problems(info) -> list[str]:
    return [str(problem) for problem in info.value.problems]


async def test_a_backend_is_asked_by_reflection(backend):
    blueprint = await load(Source(backend=backend.address))
    # The server only speaks of what it serves: the composed service is not among it.
    assert [service.full_name for service in blueprint.schema.services] == ["library.v1.LibraryService"]
    assert "GET     /v1/books/{id}                   library.v1.LibraryService/GetBook" in describe(blueprint)
    # The outside reads the title: no address.
    assert blueprint.title == "library.v1.LibraryService"


async def test_a_backend_without_reflection_says_what_to_do(descriptors):
    backend = Backend(descriptors)
    await backend.start(with_reflection=False)
    with pytest.raises(ConfigError) as info:
        await load(Source(backend=backend.address))
    await backend.stop()
    assert "does not offer server reflection" in problems(info)[0]
    assert "--descriptors FILE" in problems(info)[0]


async def test_a_backend_that_is_down_says_so():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(ConfigError) as info:
            await load(Source(backend=address, timeout=0.2))
    assert problems(info) == [f'backend "{address}" cannot be reached: no connection within 0.2 s']


async def test_a_service_nobody_knows(backend):
    with pytest.raises(ConfigError) as info:
        await load(Source(backend=backend.address, services=("library.v1.LibaryService",)))
    assert problems(info) == [
        'services[0]: "library.v1.LibaryService" is not a service of the schema; did you mean "library.v1.LibraryService"?'
    ]


@pytest.mark.parametrize("content", [None, b"\xff\xff no set"])
async def test_descriptors_that_cannot_be_read(backend, tmp_path, content):
    file = tmp_path / "api.binpb"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as info:
        await load(Source(backend=backend.address, descriptors=(str(file),)))
    expected = "cannot be read: No such file or directory" if content is None else "is not an encoded"
    assert any(str(file) in problem and expected in problem for problem in problems(info))


ENVIRONMENT = """
services:
  - name: library
    serves: [{serves}]
    endpoints: ["127.0.0.1:50051"]
gateway:
  listen: 127.0.0.1:0
  request_timeout: 3s
  services: [{services}]
descriptors: [{descriptors}]
"""


def environment(tmp_path, descriptors, *, serves="library.v1.LibraryService", services=""):
    file = tmp_path / "mesh.yaml"
    file.write_text(ENVIRONMENT.format(serves=serves, services=services, descriptors=descriptors))
    return Source(config=str(file))


async def test_an_environment_exposes_what_is_served_and_what_is_composed(tmp_path, descriptors):
    blueprint = await load(environment(tmp_path, descriptors))
    assert [service.name for service in blueprint.schema.services] == ["DeskService", "LibraryService"]
    assert list(blueprint.plans) == ["/library.v1.DeskService/GetDesk"]
    assert blueprint.targets == {"library.v1.LibraryService": "library"}
    assert blueprint.settings.request_timeout == 3.0


async def test_only_the_listed_services_are_exposed(tmp_path, descriptors):
    blueprint = await load(environment(tmp_path, descriptors, services="library.v1.DeskService"))
    assert [str(binding.template) for binding in blueprint.table.bindings] == ["/v1/desks/{book_id}"]


async def test_every_rpc_that_nobody_serves_is_a_problem(tmp_path, descriptors):
    with pytest.raises(ConfigError) as info:
        await load(
            environment(
                tmp_path, descriptors, serves="", services="library.v1.LibraryService, library.v1.Desk"
            )
        )
    found = problems(info)
    assert any('"library.v1.Desk" is not a service' in problem for problem in found)
    assert any(problem.startswith("library.v1.LibraryService/ListBooks: ") for problem in found)
    assert (
        "library.v1.LibraryService/GetBook: library.v1.LibraryService.GetBook is exposed, but no service of the "
        "environment lists library.v1.LibraryService in its `serves`"
    ) in found


async def test_an_environment_that_is_wrong(tmp_path):
    file = tmp_path / "mesh.yaml"
    file.write_text("gateway: {listen: nowhere}\n")
    with pytest.raises(ConfigError, match=r"gateway\.listen"):
        await load(Source(config=str(file)))
    file.write_text("gateway: {}\n")
    with pytest.raises(ConfigError, match="descriptors: is empty"):
        await load(Source(config=str(file)))


async def test_a_certificate_that_cannot_be_shown_is_a_problem(tmp_path, backend):
    tls = ServerTls(certificate=tmp_path / "none.pem", private_key=tmp_path / "none.key")
    with pytest.raises(ConfigError) as info:
        await load(Source(backend=backend.address, overrides={"tls": tls}))
    assert problems(info) == [
        f'gateway.tls.certificate: "{tls.certificate}" cannot be read: No such file or directory',
        f'gateway.tls.private_key: "{tls.private_key}" cannot be read: No such file or directory',
    ]
