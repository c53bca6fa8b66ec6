"""What a target may be, and what each refused one is told."""

from __future__ import annotations

import pytest

import mesh
from mesh.binding.runtime import Runtime
from mesh.binding.target import Target, resolve
from mesh.config import environment
from mesh.config.spec import Environment
from mesh.errors import ConfigError

MESH = """
services:
- {name: catalog, serves: [shop.v1.Shop], endpoints: ["127.0.0.1:7001", "127.0.0.1:7002"]}
- {name: reviews, endpoints: ["[::1]:7003"]}
- {name: orders, dns: "orders.internal:443"}
- {name: cart, command: [python, cart.py]}
"""


@pytest.fixture
def known(tmp_path) -> Environment:
    file = tmp_path / "mesh.yaml"
    file.write_text(MESH)
    made, diagnostics = environment.load(file)
    assert made is not None, diagnostics
    return made


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        (["127.0.0.1:1", "127.0.0.1:2"], "ipv4:127.0.0.1:1,127.0.0.1:2"),
        (("localhost:1", "10.0.0.1:2"), "ipv4:127.0.0.1:1,10.0.0.1:2"),
        (["[::1]:1", "[::2]:2"], "ipv6:[::1]:1,[::2]:2"),
        (["db.internal:5"], "dns:///db.internal:5"),
        ("127.0.0.1:50051", "ipv4:127.0.0.1:50051"),
        ("localhost:50051", "ipv4:127.0.0.1:50051"),
        ("[::1]:50051", "ipv6:[::1]:50051"),
        ("catalog.internal:443", "dns:///catalog.internal:443"),
        ("dns:///localhost:50051", "dns:///localhost:50051"),
        ("unix:/run/catalog.sock", "unix:/run/catalog.sock"),
        ("unix-abstract:catalog", "unix-abstract:catalog"),
    ],
    ids=str,
)
def test_addresses(target, uri):
    assert uri == resolve(target, None).uri


def test_names_of_the_environment(known):
    assert Target("catalog", "ipv4:127.0.0.1:7001,127.0.0.1:7002", ("shop.v1.Shop",)) == resolve(
        "catalog", known
    )
    assert Target("reviews", "ipv6:[::1]:7003") == resolve("reviews", known)
    assert Target("orders", "dns:///orders.internal:443") == resolve("orders", known)


def test_a_list_is_called_by_its_addresses():
    assert "127.0.0.1:1,127.0.0.1:2" == resolve(["127.0.0.1:1", "127.0.0.1:2"], None).name


REFUSED = [
    ([], "a static target needs at least one address"),
    (["127.0.0.1"], '"127.0.0.1" is not HOST:PORT'),
    (["127.0.0.1:1", "db:2"], '[1]: "db:2" is a name; a list takes IP:PORT, use dns for names'),
    (
        ["127.0.0.1:0", "[x]:1", "127.0.0.1:1"],
        (
            '[0]: "127.0.0.1:0" is not HOST:PORT: "0" is not a port from 1 to 65535\n'
            '[1]: "[x]:1" is not HOST:PORT: "x" is not an IPv6 address'
        ),
    ),
    (["127.0.0.1:1", "[::1]:1"], "a static target has either IPv4 or IPv6 addresses, not both"),
    ("127.0.0.1:http", '"127.0.0.1:http" is not HOST:PORT: "http" is not a port from 1 to 65535'),
    ("::1:50051", '"::1:50051" is not HOST:PORT: write IPv6 addresses in brackets, such as [::1]:50051'),
    (
        "xds:///catalog",
        'target "xds:///catalog": xds needs a control plane, which this version does not have',
    ),
    (
        "catalog",
        'target "catalog": a name needs an environment; set MESH_CONFIG, run beside a mesh.yaml, or give HOST:PORT',
    ),
]


@pytest.mark.parametrize(("target", "message"), REFUSED, ids=[str(target) for target, _ in REFUSED])
async def test_what_is_refused(target, message):
    with pytest.raises(ConfigError) as caught:
        mesh.channel(target, using=Runtime())

    assert message == str(caught.value)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("catalogue", 'target "catalogue": not a service of mesh.yaml; did you mean "catalog"?'),
        ("", 'target "": not a service of mesh.yaml'),
        (
            "cart",
            (
                'target "cart": `mesh up` starts it and chooses its addresses; start this process by `mesh up` too, '
                "or give the service endpoints"
            ),
        ),
    ],
)
async def test_names_that_are_refused(known, target, message):
    with pytest.raises(ConfigError) as caught:
        mesh.channel(target, using=Runtime(known))

    assert message == str(caught.value)
