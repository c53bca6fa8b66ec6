"""What makes an environment valid: names, addresses, references and ranges, each with its problem and path."""

from __future__ import annotations

import re
import shutil
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from mesh.config import address, read_gateway, reference
from mesh.config.address import Address
from mesh.config.spec import Environment, Service, Subset, Telemetry
from mesh.policy.problem import Problems, suggest
from mesh.policy.read import flag, number, seconds, whole
from mesh.v1 import config_pb2

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_DAY = 86400.0


def read(proto: config_pb2.Environment, at: Problems, *, file: Path, lines: Mapping[str, int]) -> Environment:
    """Read an environment; what has problems is left out or replaced, so look at the problems first."""
    folder = file.parent
    services = tuple(
        _service(service, at.field("services").item(index), folder)
        for index, service in enumerate(proto.services)
    )
    _names(services, at.field("services"))
    _order(services, at.field("services"))
    reference.check(proto.policies, services, at.field("policies"))
    return Environment(
        name=proto.name or file.parent.name,
        file=file,
        services=services,
        gateway=read_gateway.read(proto.gateway, at.field("gateway"), folder)
        if proto.HasField("gateway")
        else None,
        telemetry=_telemetry(proto.telemetry, at.field("telemetry")),
        descriptors=tuple(
            _descriptors(folder, name, at.field("descriptors").item(index))
            for index, name in enumerate(proto.descriptors)
        ),
        proto=proto,
        lines=lines,
    )


def _service(proto: config_pb2.Service, at: Problems, folder: Path) -> Service:
    if not proto.name:
        at.field("name").add("a service needs a name")
    elif not _NAME.fullmatch(proto.name):
        at.field("name").add(f'"{proto.name}" is not a service name: letters, digits, - and _')
    elif proto.name == "gateway":
        at.field("name").add('"gateway" is the name of the gateway itself')
    for index, name in enumerate(proto.serves):
        read_gateway.full_name(name, at.field("serves").item(index))
    written = {field.name for field, _ in proto.ListFields()}
    given = [name for name in ("command", "endpoints", "dns") if name in written]
    if len(given) != 1:
        found = f"not {' and '.join(given)}" if given else "and there is none of them"
        at.add(f"a service has one of command, endpoints and dns, {found}")
    if given and "command" not in given:
        for name in ("instances", "directory", "environment", "after", "start_timeout"):
            if name in written:
                at.field(name).add("only for a service with a command, which `mesh up` starts")
    directory = folder / proto.directory
    if not directory.is_dir():
        at.field("directory").add(f'"{proto.directory}" is not a folder')
    if proto.command:
        _command(proto.command[0], directory, at.field("command").item(0))
    for name in proto.environment:
        if not name or "=" in name or name.startswith("MESH_"):
            at.field("environment").key(name).add("not a variable that can be set; MESH_* are the mesh's own")
    return Service(
        name=proto.name,
        serves=tuple(proto.serves),
        command=tuple(proto.command),
        instances=whole(proto, "instances", at, default=1, least=1, most=100),
        directory=directory,
        environment=tuple(proto.environment.items()),
        endpoints=_endpoints(proto, at.field("endpoints")),
        dns=_dns(proto.dns, at.field("dns")),
        after=tuple(proto.after),
        start_timeout=seconds(proto, "start_timeout", at, default=30.0, least=0.1, most=_DAY),
        stop_timeout=seconds(proto, "stop_timeout", at, default=10.0, least=0.0, most=_DAY),
        subsets=_subsets(proto, at.field("subsets")),
    )


def _subsets(proto: config_pb2.Service, at: Problems) -> tuple[Subset, ...]:
    if proto.command and proto.subsets:
        at.add("only for a service that `mesh up` does not start: the instances it starts are all the same")
    seen: set[str] = set()
    for index, subset in enumerate(proto.subsets):
        here = at.item(index)
        if not subset.name:
            here.field("name").add("a subset needs a name")
        elif not _NAME.fullmatch(subset.name):
            here.field("name").add(f'"{subset.name}" is not the name of a subset: letters, digits, - and _')
        elif subset.name in seen:
            here.field("name").add(f'"{subset.name}" is the name of another subset already')
        seen.add(subset.name)
        if bool(subset.endpoints) == bool(subset.dns):
            here.add("a subset has either endpoints or dns")
    return tuple(
        Subset(
            name=subset.name,
            endpoints=_endpoints(subset, at.item(index).field("endpoints")),
            dns=_dns(subset.dns, at.item(index).field("dns")),
        )
        for index, subset in enumerate(proto.subsets)
    )


def _command(program: str, directory: Path, at: Problems) -> None:
    if program == "python":
        return
    # "If cwd is given, relative paths are relative to it" holds for programs with a slash; others are on PATH.
    if shutil.which(str(directory / program) if "/" in program else program) is None:
        at.add(f'"{program}" is not a program that can be started')


def _endpoints(proto: config_pb2.Service | config_pb2.Subset, at: Problems) -> tuple[Address, ...]:
    found: list[Address] = []
    for index, text in enumerate(proto.endpoints):
        parsed = address.parse(text)
        if isinstance(parsed, str):
            at.item(index).add(parsed)
        elif not parsed.is_ip:
            at.item(index).add(f'"{text}" is not an IP address; for a name use `dns: {text}`')
        elif parsed in found:
            at.item(index).add(f'"{text}" is given twice')
        else:
            found.append(parsed)
    return tuple(found)


def _dns(text: str, at: Problems) -> Address | None:
    if not text:
        return None
    parsed = address.parse(text.removeprefix("dns:///"))
    if isinstance(parsed, str):
        at.add(parsed)
        return None
    return parsed


def _names(services: tuple[Service, ...], at: Problems) -> None:
    names: dict[str, int] = {}
    served: dict[str, int] = {}
    for index, service in enumerate(services):
        first = names.setdefault(service.name, index)
        if service.name and first != index:
            at.item(index).field("name").add(f'"{service.name}" is the name of services[{first}] already')
        for position, full_name in enumerate(service.serves):
            here = at.item(index).field("serves").item(position)
            first = served.setdefault(full_name, index)
            if first != index:
                here.add(f'"{full_name}" is served by {services[first].name} already')
            elif full_name in service.serves[:position]:
                here.add(f'"{full_name}" is given twice')


def _order(services: tuple[Service, ...], at: Problems) -> None:
    after = {service.name: service.after for service in services}
    cyclic: set[str] = set()
    for index, service in enumerate(services):
        for position, name in enumerate(service.after):
            here = at.item(index).field("after").item(position)
            if name not in after:
                here.add(f'"{name}" is not a service of this environment{suggest(name, after)}')
        cycle = _cycle(service.name, after)
        if cycle and not cyclic & set(cycle):
            cyclic |= set(cycle)
            at.item(index).field("after").add(f"services wait for each other: {' -> '.join(cycle)}")


def _cycle(start: str, after: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the shortest way from a service back to itself, or nothing."""
    ways: list[list[str]] = [[start]]
    seen: set[str] = set()
    for way in ways:  # grows while it is walked
        for name in after.get(way[-1], ()):
            if name == start:
                return [*way, start]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []


def _telemetry(proto: config_pb2.Telemetry, at: Problems) -> Telemetry:
    if proto.otlp_endpoint:
        url = urllib.parse.urlsplit(proto.otlp_endpoint)
        if url.scheme not in {"http", "https"} or not url.hostname:
            at.field("otlp_endpoint").add(
                f'"{proto.otlp_endpoint}" is not the URL of a collector, such as http://127.0.0.1:4318'
            )
    return Telemetry(
        prometheus_listen=read_gateway.listen(proto.prometheus_listen, at.field("prometheus_listen")),
        otlp_endpoint=proto.otlp_endpoint,
        trace_ratio=number(proto, "trace_ratio", at, default=Telemetry().trace_ratio, most=1.0),
        console=flag(proto, "console", default=False),
    )


def _descriptors(folder: Path, name: str, at: Problems) -> Path:
    file = folder / name
    if not file.is_file():
        at.add(f'"{name}" is not there; `mesh generate` makes it')
    return file
