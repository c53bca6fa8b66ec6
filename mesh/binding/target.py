"""What a client means by a target: a name of the environment, a list of addresses, or one address."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from mesh.config import address
from mesh.config.address import Address
from mesh.config.spec import Environment, Service, Subset
from mesh.errors import ConfigError
from mesh.policy.problem import Problem, suggest

PLAIN_SCHEMES: Final = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:")


class Target(NamedTuple):
    """Where a channel goes."""

    name: str
    """What metrics, breakers and explain call it."""
    uri: str
    """What gRPC's resolver is given."""
    services: tuple[str, ...] = ()
    """The gRPC services it is known to serve, whose connection policy holds."""
    subsets: Mapping[str, str] = MappingProxyType({})
    """What gRPC's resolver is given for each named part of it."""


def resolve(target: str | Sequence[str], environment: Environment | None) -> Target:
    """Return where the channel goes.

    A list means all its addresses; a bare word is a service of the environment; anything else is one address.
    Raises ConfigError for what gRPC would only fail on later, or not at all.
    """
    if not isinstance(target, str):
        return Target(",".join(target), static(target))
    if target.startswith("xds:"):
        raise ConfigError(
            [Problem("", f'target "{target}": xds needs a control plane, which this version does not have')]
        )
    if target.startswith(PLAIN_SCHEMES):
        return Target(target, target)
    if ":" in target:
        return Target(target, _address(target))
    return _named(target, environment)


def _named(name: str, environment: Environment | None) -> Target:
    if environment is None:
        raise ConfigError(
            [
                Problem(
                    "",
                    f'target "{name}": a name needs an environment; set MESH_CONFIG, run beside a mesh.yaml, '
                    "or give HOST:PORT",
                )
            ]
        )
    service = environment.service(name)
    if service is None:
        known = [service.name for service in environment.services]
        raise ConfigError(
            [Problem("", f'target "{name}": not a service of {environment.file.name}{suggest(name, known)}')]
        )
    subsets = {subset.name: _uri(subset) for subset in service.subsets}
    if service.dns is not None or service.endpoints:
        return Target(name, _uri(service), service.serves, subsets)
    raise ConfigError(
        [
            Problem(
                "",
                f'target "{name}": `mesh up` starts it and chooses its addresses; start this process by '
                "`mesh up` too, or give the service endpoints",
            )
        ]
    )


def _uri(place: Service | Subset) -> str:
    return f"dns:///{place.dns}" if place.dns is not None else static([str(one) for one in place.endpoints])


def static(addresses: Sequence[str]) -> str:
    """Return gRPC's URI for a fixed list of addresses."""
    if not addresses:
        raise ConfigError([Problem("", "a static target needs at least one address")])
    if len(addresses) == 1:
        return _address(addresses[0])
    uris, problems = [], []
    for index, text in enumerate(addresses):
        parsed = address.parse(text)
        uri = None if isinstance(parsed, str) else _ip(parsed)
        if isinstance(parsed, str):
            problems.append(Problem(f"[{index}]", parsed))
        elif uri is None:
            problems.append(
                Problem(f"[{index}]", f'"{text}" is a name; a list takes IP:PORT, use dns for names')
            )
        else:
            uris.append(uri)
    schemes = {uri.partition(":")[0] for uri in uris}
    if len(schemes) > 1:
        problems.append(Problem("", "a static target has either IPv4 or IPv6 addresses, not both"))
    if problems:
        raise ConfigError(problems)
    return f"{schemes.pop()}:{','.join(uri.partition(':')[2] for uri in uris)}"


def _address(text: str) -> str:
    parsed = address.parse(text)
    if isinstance(parsed, str):
        raise ConfigError([Problem("", parsed)])
    return _ip(parsed) or f"dns:///{parsed}"


def _ip(parsed: Address) -> str | None:
    """Return gRPC's URI of an IP address; None for names."""
    if not parsed.is_ip:
        return None
    host = "127.0.0.1" if parsed.host == "localhost" else parsed.host
    return f"ipv{ipaddress.ip_address(host).version}:{Address(host, parsed.port)}"
