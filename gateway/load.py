"""What a gateway is loaded from: an environment, or one backend and its descriptors. All problems are reported."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

from gateway import certificate
from gateway.blueprint import Blueprint
from gateway.compose import Plan, compile_plans
from gateway.route import rule_file, table
from gateway.schema.pool import Loaded, Schema, read_files
from gateway.schema.reflection import NOT_OFFERED, read_server
from gateway.schema.rest import read_rests
from mesh.binding.runtime import Runtime
from mesh.binding.target import resolve
from mesh.config import document
from mesh.config import environment as environments
from mesh.config.diagnostic import Diagnostic
from mesh.config.spec import Environment
from mesh.config.spec import Gateway as Settings
from mesh.errors import ConfigError
from mesh.policy.problem import Problem, Problems, suggest
from mesh.policy.table import PolicyTable
from mesh.policy.table import load as load_policies
from mesh.telemetry.telemetry import Telemetry
from mesh.v1 import policy_pb2

# A server that nobody here wrote may have no health service, which gRPC's core complains about on standard error.
_PLAIN: Final = policy_pb2.Policy(
    connection=policy_pb2.Connection(health_check=policy_pb2.HealthCheck(enabled=False))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a gateway comes from. Either `config` or `backend` is given; it can be sent to another process."""

    config: str = ""
    """Path of a `mesh.yaml`, as written or as resolved by `mesh up`."""
    backend: str = ""
    """HOST:PORT of a gRPC server that serves everything."""
    descriptors: tuple[str, ...] = ()
    """Paths of descriptor sets for the backend; none: it is asked by reflection."""
    services: tuple[str, ...] = ()
    """The services to expose; none: all."""
    settings: Settings | None = None
    """Settings instead of those of `config`."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Single settings, by their names in `Settings`, that hold whatever the others are."""
    rules: tuple[str, ...] = ()
    """Paths of files of HTTP rules, which come after those of the settings and so hold before them."""
    timeout: float = 10.0
    """Seconds to wait for the backend."""

    def environment(self) -> Environment:
        """Return the environment of `config`; raise ConfigError with every problem."""
        return environments.require(self.config)

    def chosen_settings(self) -> Settings:
        """Return the settings it is served with."""
        settings = self.settings
        if settings is None:
            settings = (self.config and self.environment().gateway) or Settings()
        settings = replace(settings, **self.overrides)
        return replace(settings, rule_files=(*settings.rule_files, *map(Path, self.rules)))

    def files(self) -> tuple[Path, ...]:
        """Return the files that the schema comes from: descriptor sets and HTTP rules."""
        sets = self.environment().descriptors if self.config else map(Path, self.descriptors)
        return (*sets, *self.chosen_settings().rule_files)


async def load(source: Source, telemetry: Telemetry | None = None) -> Blueprint:
    """Return what the source describes; raise ConfigError with every problem."""
    if source.config:
        return load_environment(source.environment(), telemetry, source.chosen_settings())
    return await load_backend(source, telemetry)


def load_environment(
    environment: Environment, telemetry: Telemetry | None = None, settings: Settings | None = None
) -> Blueprint:
    """Return what an environment says its gateway serves."""
    settings = settings or environment.gateway or Settings()
    problems: list[Problem] = []
    files = _read_sets(environment.descriptors, problems)
    if not environment.descriptors:
        problems.append(Problem("descriptors", "is empty: the gateway's routes come from descriptor sets"))
    schema, found = read_files(files)
    problems.extend(found if files else ())
    served = {name: service.name for service in environment.services for name in service.serves}
    plans = _compile_plans(schema, problems)
    exposed = _exposed(schema, settings.services, served, plans, problems)
    blueprint = _assemble(
        schema,
        exposed,
        plans,
        targets=served,
        policies=environment.proto.policies,
        environment=environment,
        telemetry=telemetry,
        settings=settings,
        problems=problems,
        title=environment.name or "API",
        unannotated=settings.unannotated_methods,
    )
    _check_reachable(blueprint.table, plans, served, problems)
    if problems:
        raise ConfigError(problems)
    return blueprint


async def load_backend(source: Source, telemetry: Telemetry | None = None) -> Blueprint:
    """Return what one server serves, whatever that is."""
    await _connect(source)
    return compile_backend(
        source, read_sets(source) if source.descriptors else await reflect(source), telemetry
    )


def compile_backend(source: Source, loaded: Loaded, telemetry: Telemetry | None = None) -> Blueprint:
    """Return what a backend with this schema serves."""
    schema, found = loaded
    problems = list(found)
    # What a server lists by reflection it serves itself, composed or not; descriptors do not say who does.
    plans = _compile_plans(schema, problems) if source.descriptors else {}
    known = {service.full_name: service for service in schema.services}
    exposed = _named(known, source.services, "services", problems) if source.services else schema.services
    blueprint = _assemble(
        schema,
        exposed,
        plans,
        targets={service.full_name: source.backend for service in schema.services},
        policies=None,
        environment=None,
        telemetry=telemetry,
        settings=source.chosen_settings(),
        problems=problems,
        # Not the backend's address: the outside reads it in the documentation.
        title=exposed[0].full_name if len(exposed) == 1 else "API",
        unannotated=True,
    )
    if problems:
        raise ConfigError(problems)
    return blueprint


def read_sets(source: Source) -> Loaded:
    """Return the schema of a backend's descriptor sets."""
    problems: list[Problem] = []
    files = _read_sets(map(Path, source.descriptors), problems)
    schema, found = read_files(files)
    return schema, (*problems, *(found if files else ()))


async def reflect(source: Source) -> Loaded:
    """Return the schema that a backend tells of itself."""
    channel = grpc.aio.insecure_channel(resolve(source.backend, None).uri)
    try:
        schema, problems = await read_server(channel, timeout=source.timeout)
    finally:
        await channel.close()
    if any(problem.message == NOT_OFFERED for problem in problems):
        advice = (
            f"{source.backend} does not offer server reflection: give its protos' descriptor set with "
            "--descriptors FILE (made by `mesh generate`, `buf build -o FILE` or `protoc --descriptor_set_out=FILE "
            "--include_imports`), or turn reflection on in the server"
        )
        problems = (Problem("", advice),)
    return schema, problems


async def _connect(source: Source) -> None:
    """Wait until the backend accepts a connection, so that "not there" is told from all that comes later."""
    channel = grpc.aio.insecure_channel(resolve(source.backend, None).uri)
    try:
        async with asyncio.timeout(source.timeout):
            await channel.channel_ready()
    except TimeoutError:
        text = f'backend "{source.backend}" cannot be reached: no connection within {source.timeout:g} s'
        raise ConfigError([Problem("", text)]) from None
    finally:
        await channel.close()


def _assemble(
    schema: Schema,
    exposed: Sequence[ServiceDescriptor],
    plans: Mapping[str, Plan],
    *,
    targets: Mapping[str, str],
    policies: Any,
    environment: Environment | None,
    telemetry: Telemetry | None,
    settings: Settings,
    problems: list[Problem],
    title: str,
    unannotated: bool,
) -> Blueprint:
    if settings.tls is not None:
        problems.extend(certificate.check(settings.tls))
    rules = _read_rules(settings.rule_files, exposed, schema, problems)
    routes, found = table.read(exposed, unannotated=unannotated, rules=rules)
    problems.extend(found)
    rests, found = read_rests(exposed, settings)
    problems.extend(found)
    policy_table = PolicyTable(_PLAIN, pool=schema.pool)
    if policies is not None:
        policy_table, wrong = load_policies(policies, Problems("policies"), schema.pool)
        problems.extend(wrong)
    runtime = Runtime(environment, telemetry=telemetry, policies=policy_table)
    shown = replace(schema, services=tuple(exposed))
    return Blueprint(shown, routes, plans, targets, runtime, settings, title, rests=rests)


def _read_sets(paths: Iterable[Path], problems: list[Problem]) -> list[FileDescriptorProto]:
    """Return the files of all sets; those made with their imports overlap."""
    files: list[FileDescriptorProto] = []
    for path in paths:
        try:
            found = FileDescriptorSet.FromString(path.read_bytes()).file
            files.extend(found)
            if not found:
                # Every prefix that ends between two files is a valid set, and so is nothing at all.
                problems.append(Problem(str(path), "holds no files: it is empty"))
        except OSError as error:
            problems.append(Problem(str(path), f"cannot be read: {error.strerror}"))
        except DecodeError:
            problems.append(Problem(str(path), "is not an encoded google.protobuf.FileDescriptorSet"))
    return files


def _read_rules(
    files: Iterable[Path], exposed: Sequence[ServiceDescriptor], schema: Schema, problems: list[Problem]
) -> Mapping[str, rule_file.Rule]:
    rules: list[rule_file.Rule] = []
    for file in files:
        text = document.read_text(file, str(file))
        if isinstance(text, Diagnostic):
            problems.append(text.as_problem())
            continue
        read, found = rule_file.parse(text, file=str(file))
        rules.extend(read)
        problems.extend(found)
    others = [service for service in schema.services if service not in exposed]
    chosen, found = rule_file.resolve(rules, exposed, others)
    problems.extend(found)
    return chosen


def _compile_plans(schema: Schema, problems: list[Problem]) -> Mapping[str, Plan]:
    plans, found = compile_plans({service.full_name: service for service in schema.services})
    problems.extend(found)
    return plans


def _exposed(
    schema: Schema,
    wanted: Sequence[str],
    served: Mapping[str, str],
    plans: Mapping[str, Plan],
    problems: list[Problem],
) -> list[ServiceDescriptor]:
    known = {service.full_name: service for service in schema.services}
    if wanted:
        return _named(known, wanted, "gateway.services", problems)
    composed = {method[1:].partition("/")[0] for method in plans}
    return [service for name, service in known.items() if name in served or name in composed]


def _named(
    known: Mapping[str, ServiceDescriptor], wanted: Sequence[str], path: str, problems: list[Problem]
) -> list[ServiceDescriptor]:
    problems.extend(
        Problem(f"{path}[{index}]", f'"{name}" is not a service of the schema{suggest(name, known)}')
        for index, name in enumerate(wanted)
        if name not in known
    )
    return [known[name] for name in wanted if name in known]


def _check_reachable(
    routes: table.Table, plans: Mapping[str, Plan], served: Mapping[str, str], problems: list[Problem]
) -> None:
    """Report every RPC that a request could need and nobody serves."""
    wanted: dict[str, str] = {}
    for binding in routes.bindings:
        wanted.setdefault(binding.full_method, f"{binding.method.full_name} is exposed")
    for plan in plans.values():
        for node in plan.nodes:
            wanted.setdefault(node.rpc, f'step "{node.name}" of {plan.method[1:]} calls it')
    for method, reason in wanted.items():
        service = method[1:].partition("/")[0]
        if method not in plans and service not in served:
            text = f"{reason}, but no service of the environment lists {service} in its `serves`"
            problems.append(Problem(method[1:], text))
