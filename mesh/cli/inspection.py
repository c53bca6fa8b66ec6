"""Everything that can be wrong with an environment before anything runs: file, descriptors, policies, routes, compositions.

What is in the file is placed in the file; what is in a proto is placed in the proto, by the source information that
`mesh generate` leaves in descriptor sets. The gateway's own readers decide about routes and compositions; they are
imported here, at the rim, because the mesh itself does not depend on the gateway.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

from mesh.config import Diagnostic, Environment
from mesh.config.diagnostic import locate
from mesh.config.environment import examine
from mesh.policy import table as policies
from mesh.policy.problem import Problem, Problems, suggest


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found. Without diagnostics there is an environment, and it can be started."""

    environment: Environment | None
    diagnostics: tuple[Diagnostic, ...]
    routes: int = 0
    compositions: int = 0

    def __str__(self) -> str:
        if self.environment is None or self.diagnostics:
            return _count(len(self.diagnostics), "problem")
        services = self.environment.services
        instances = sum(service.instances for service in services if service.command)
        parts = [
            f"{_count(len(services), 'service')} ({_count(instances, 'instance')} to start)",
            _count(self.routes, "route"),
            _count(self.compositions, "composition"),
        ]
        return f"ok: {', '.join(parts)}"


def inspect(file: str | Path) -> Inspection:
    """Check all of an environment, starting nothing."""
    environment, diagnostics = examine(file)
    if environment is None:
        return Inspection(environment=None, diagnostics=tuple(diagnostics))
    return _Inspector(environment, str(file), diagnostics).run()


class _Inspector:
    def __init__(self, environment: Environment, file: str, diagnostics: list[Diagnostic]) -> None:
        self._environment = environment
        self._file = file
        self._diagnostics = diagnostics

    def run(self) -> Inspection:
        from gateway.schema import pool

        files = self._files()
        schema, problems = pool.read_files(files)
        # Without descriptors nothing is known of names, and nothing can be said about them.
        known = {service.full_name: service for service in schema.services} if files else {}
        if files:
            self._add(Problem(f"descriptors: {problem.path}", problem.message) for problem in problems)
            self._check_names(known)
        _, found = policies.load(
            self._environment.proto.policies, Problems("policies"), schema.pool if files else None
        )
        self._add(found)
        places = _places(files)
        if not found:
            self._check_annotations(known.values(), schema.pool, places)
        routes = compositions = 0
        if self._environment.gateway is not None:
            routes, compositions = self._check_gateway(known, places)
        return Inspection(
            environment=None if self._diagnostics else self._environment,
            diagnostics=tuple(self._diagnostics),
            routes=routes,
            compositions=compositions,
        )

    def _files(self) -> list[FileDescriptorProto]:
        files: dict[str, FileDescriptorProto] = {}
        for index, path in enumerate(self._environment.descriptors):
            at = f"descriptors[{index}]"
            try:
                file_set = FileDescriptorSet.FromString(path.read_bytes())
            except DecodeError:
                self._add([Problem(at, f'"{path.name}" is not a descriptor set; `mesh generate` makes one')])
            except OSError:
                continue  # said already: it is not there
            else:
                files |= {file.name: file for file in file_set.file if file.name not in files}
        return list(files.values())

    def _check_names(self, known: Mapping[str, ServiceDescriptor]) -> None:
        at = Problems()
        for index, service in enumerate(self._environment.services):
            for position, name in enumerate(service.serves):
                if name not in known:
                    here = at.field("services").item(index).field("serves").item(position)
                    here.add(f'"{name}" is not a service of the descriptors{suggest(name, known)}')
        self._add(at.list)

    def _check_annotations(
        self, services: Iterable[ServiceDescriptor], pool: object, places: _Places
    ) -> None:
        """Check the policies written in protos, on top of which the environment's are known to be right."""
        table = policies.PolicyTable(pool=pool)  # type: ignore[arg-type] # upb's pool has a class of its own
        for service in services:
            for method in service.methods:
                at = Problems(f"{method.full_name} (mesh.v1 policy)")
                table.policy(f"/{service.full_name}/{method.name}", at)
                self._add_placed(at.list, places)

    def _check_gateway(self, known: Mapping[str, ServiceDescriptor], places: _Places) -> tuple[int, int]:
        from gateway.compose.compile import compile_plans
        from gateway.route import table

        gateway = self._environment.gateway
        assert gateway is not None  # noqa: S101 - the caller's condition
        plans, problems = compile_plans(known)
        self._add_placed(problems, places)
        composed = {name.removeprefix("/").partition("/")[0] for name in plans}
        served = {name for service in self._environment.services for name in service.serves}
        at = Problems("gateway").field("services")
        for index, name in enumerate(gateway.services):
            if known and name not in known:
                at.item(index).add(f'"{name}" is not a service of the descriptors{suggest(name, known)}')
            elif name not in served and name not in composed:
                at.item(index).add(
                    f'"{name}" is in no `serves`, so there is nobody to call{suggest(name, served)}'
                )
        if not known and not at.list:
            Problems("gateway", at.list).add(
                "needs descriptors: `mesh generate` makes a set, `descriptors` names it"
            )
        self._add(at.list)
        for plan in plans.values():
            calls = {node.rpc.removeprefix("/").partition("/")[0] for node in plan.nodes} - served - composed
            name = plan.method.removeprefix("/").replace("/", ".")
            self._add_placed(
                (
                    Problem(
                        f"{name} (gateway.v1.compose)",
                        f'calls "{call}", which is in no `serves` of {self._file}',
                    )
                    for call in sorted(calls)
                ),
                places,
            )
        exposed = gateway.services or sorted(served | composed)
        routes, unroutable = table.read([known[name] for name in exposed if name in known])
        self._add_placed(unroutable, places)
        return len(routes.bindings), len(plans)

    def _add(self, problems: Iterable[Problem]) -> None:
        self._diagnostics += locate(self._file, self._environment.lines, problems)

    def _add_placed(self, problems: Iterable[tuple[str, str]], places: _Places) -> None:
        """Add problems whose path begins with the full name of something in a proto."""
        for path, message in problems:
            file, line = places.get(path.partition(" ")[0], ("", None))
            self._diagnostics.append(Diagnostic(file or self._file, line, None, path, message))


_Places = Mapping[str, tuple[str, int | None]]
"""File and line of each method, by full name."""


def _places(files: Iterable[FileDescriptorProto]) -> _Places:
    places: dict[str, tuple[str, int | None]] = {}
    for file in files:
        lines = {tuple(location.path): location.span[0] + 1 for location in file.source_code_info.location}
        for index, service in enumerate(file.service):
            name = f"{file.package}.{service.name}".lstrip(".")
            for position, method in enumerate(service.method):
                # descriptor.proto: `service` is field 6 of a file, `method` field 2 of a service.
                places[f"{name}.{method.name}"] = (file.name, lines.get((6, index, 2, position)))
    return places


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
