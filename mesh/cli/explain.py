"""`mesh explain`: what a method is composed of, what happens to its calls, stage by stage, and who enforces the rest."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from mesh import chain
from mesh.binding.capability import inert_at
from mesh.binding.service_config import service_config
from mesh.call import Arity, Colour, Side
from mesh.cli import why as reasons
from mesh.cli.place import read_places
from mesh.config import environment as environments
from mesh.errors import ConfigError
from mesh.policy import annotation, provenance
from mesh.policy.connection import ConnectionPolicy
from mesh.policy.problem import Problem, Problems, suggest
from mesh.policy.table import PolicyTable, load
from mesh.stage.copier import Copy
from mesh.stage.scope import Scope, State
from mesh.telemetry.telemetry import Telemetry
from mesh.telemetry.tracing import Tracing

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor

    from gateway.schema.pool import Schema
    from mesh.config.spec import Environment


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("method", required=False)
@click.option(
    "--side",
    type=click.Choice(["client", "server", "both"]),
    default="both",
    show_default=True,
    help="Whose chain to print.",
)
@click.option("--why", is_flag=True, help="Print each field of the policy, too: its value, and who wrote it.")
def command(file: Path, method: str | None, side: str, why: bool) -> None:
    """Print the chain of METHOD in the environment FILE: each stage in order, its values, and why it sits there.

    \b
      mesh explain mesh.yaml shop.v1.CatalogService/GetProduct
      mesh explain mesh.yaml shop.v1.CatalogService/GetProduct --why
      mesh explain mesh.yaml                                      lists the methods

    What gRPC's own core enforces (load balancing, health checks, outlier detection) is printed below the stages. Of a
    composed method its plan comes first: which backend calls it makes, what each needs, what goes in and comes out.
    """  # noqa: D301 - click looks for the character
    environment, diagnostics = environments.load(file)
    if environment is None:
        _fail(diagnostics)
    schema = _schema(environment)
    policies, problems = load(environment.proto.policies, pool=schema.pool)
    if problems:
        _fail(problems)
    if method is None:
        for service in schema.services:
            for known in service.methods:
                click.echo(f"{service.full_name}/{known.name}")
        return
    found = _find(schema, method)
    target = environment.serving(found.containing_service.full_name)
    name = found.containing_service.full_name if target is None else target.name
    plan = _plan(schema, found)
    sides = list(Side) if side == "both" else [Side(side)]
    at = Problems(method)
    policy = policies.policy(_path(found), at)
    if at:
        _fail(at.list)
    telemetry = _telemetry(environment)
    scopes = [
        Scope(
            _path(found),
            _arity(found),
            each,
            name,
            policy,
            telemetry,
            State(),
            pool=schema.pool,
            copier=_Nobody(),
            subsets=None if target is None else tuple(subset.name for subset in target.subsets) or None,
        )
        for each in sides
    ]
    try:
        chains = ["\n".join((chain.explain(scope), *_inert(scope))) for scope in scopes]
    except ConfigError as error:
        _fail(error.problems)
    click.echo("\n\n".join([*plan, *chains]))
    if Side.CLIENT in sides:
        services = () if target is None else target.serves
        click.echo(_native(policies, services))
    if why:
        click.echo(f"\n{_provenance(environment, schema, found)}")


class _Nobody:
    """Who sends the copies of calls that are never made: a chain is only printed here."""

    def send(self, copy: Copy) -> None:
        """Send nothing."""


_KINDS: Final = (
    ("in mesh.sync", Colour.SYNC, False),
    ("on interceptors of your own channel", Colour.AIO, True),
    ("on those in mesh.sync", Colour.SYNC, True),
)
"""Where calls can be made that cannot have everything, beside a channel or server of the mesh."""


def _inert(scope: Scope) -> Iterator[str]:
    """Yield what does nothing where, each reason once."""
    said: set[tuple[str, str]] = set()
    for where, colour, own in _KINDS:
        found = [item for item in inert_at(colour, own=own)(scope).items() if item not in said]
        said.update(found)
        if found:
            said_of = (
                f"{section} ({reason}{'; required: calls are refused' if section in scope.policy.required else ''})"
                for section, reason in found
            )
            yield f"  inert    {where}: {'; '.join(said_of)}"


def _provenance(environment: Environment, schema: Schema, method: MethodDescriptor) -> str:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    noted = annotation.find(_path(method), schema.pool)
    layers = provenance.layers(environment.proto.policies, noted, _path(method))
    sets = (FileDescriptorSet.FromString(file.read_bytes()).file for file in environment.descriptors)
    places = read_places(itertools.chain.from_iterable(sets))
    return reasons.render(provenance.trace(layers, idempotent=noted.idempotent), environment, places)


def _telemetry(environment: Environment) -> Telemetry:
    """Return telemetry that samples as the environment's processes do, and starts nothing."""
    spec = environment.telemetry
    # As in `setup`: without exporters of ours the application's own provider samples.
    exports = bool(spec.otlp_endpoint) or spec.console
    return Telemetry(tracing=Tracing(ratio=spec.trace_ratio if exports else None))


def _schema(environment: Environment) -> Schema:
    from gateway.schema import pool

    # Encoded sets laid end to end are one set: that is how protobuf merges repeated fields.
    schema, problems = pool.read_set(b"".join(file.read_bytes() for file in environment.descriptors))
    if problems:
        _fail(problems)
    return schema


def _find(schema: Schema, method: str) -> MethodDescriptor:
    service_name, _, method_name = method.lstrip("/").rpartition("/")
    if not service_name:
        _fail([Problem("", f'"{method}" is not SERVICE/METHOD, such as shop.v1.CatalogService/GetProduct')])
    try:
        service = schema.pool.FindServiceByName(service_name)
    except KeyError:
        known = [service.full_name for service in schema.services]
        _fail(
            [
                Problem(
                    "", f'"{service_name}" is not a service of the descriptors{suggest(service_name, known)}'
                )
            ]
        )
    found = service.methods_by_name.get(method_name)
    if found is None:
        near = suggest(method_name, service.methods_by_name)
        _fail([Problem("", f'"{method_name}" is not a method of {service_name}{near}')])
    return found


def _plan(schema: Schema, method: MethodDescriptor) -> list[str]:
    """Return the plan of a composed method; nothing of another, or without the gateway, which alone runs plans."""
    try:
        from gateway.compose import compile_plans, explain
    except ModuleNotFoundError:
        return []
    plans, problems = compile_plans({service.full_name: service for service in schema.services})
    if problems:
        _fail(problems)
    plan = plans.get(_path(method))
    return [] if plan is None else [explain(plan)]


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _arity(method: MethodDescriptor) -> Arity:
    request = "stream" if method.client_streaming else "unary"
    return Arity(f"{request}_{'stream' if method.server_streaming else 'unary'}")


def _native(policies: PolicyTable, services: tuple[str, ...]) -> str:
    policy: ConnectionPolicy = policies.connection(services)
    keepalive = (
        "off" if policy.keepalive is None else f"a ping after {policy.keepalive.interval:g}s of silence"
    )
    sent = policy.max_send_bytes or "any number of"
    return "\n".join(
        (
            "\nnative, by gRPC's core, for the whole channel:",
            f"  service config      {json.dumps(service_config(policy))}",
            f"  keepalive           {keepalive}",
            f"  reconnect           after {policy.initial_backoff:g}s, growing to {policy.max_backoff:g}s",
            f"  messages            up to {policy.max_receive_bytes} bytes in, {sent} bytes out",
        )
    )


def _fail(problems: Iterable[object]) -> NoReturn:
    for problem in problems:
        click.echo(str(problem), err=True)
    sys.exit(2)
