"""Everything that can be wrong with an environment before anything runs: file, descriptors, policies, routes, compositions.

What is in the file is placed in the file; what is in a proto is placed in the proto, by the source information that
`mesh generate` leaves in descriptor sets. About routes and compositions the gateway's own reader decides; it is imported
here, at the rim, because the mesh itself does not depend on the gateway.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

from mesh.cli.place import Places, read_places
from mesh.config import Diagnostic, Environment
from mesh.config.diagnostic import locate
from mesh.config.environment import examine
from mesh.errors import ConfigError
from mesh.policy import fallback
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
        self._unreadable = False

    def run(self) -> Inspection:
        from gateway.schema import pool

        files = self._files()
        schema, problems = pool.read_files(files)
        if not files:
            problems = ()  # nothing is known of any name, and nothing can be said about it
        self._add(Problem(f"descriptors: {problem.path}", problem.message) for problem in problems)
        complete = files and not problems and not self._unreadable
        known = {service.full_name: service for service in schema.services}
        if complete:
            self._check_names(known)
        _, found = policies.load(
            self._environment.proto.policies, Problems("policies"), schema.pool if complete else None
        )
        self._add(found)
        places = read_places(files)
        if not found:
            self._check_annotations(known.values(), schema.pool, places)
        if complete:
            self._check_default_fallback(known, schema.pool)
        routes = compositions = 0
        # From half of the descriptors everything else would look wrong.
        if self._environment.gateway is not None and (complete or not self._environment.descriptors):
            routes, compositions = self._check_gateway(places)
        return Inspection(
            environment=None if self._diagnostics else self._environment,
            diagnostics=tuple(self._diagnostics),
            routes=routes,
            compositions=compositions,
        )

    def _files(self) -> list[FileDescriptorProto]:
        files: list[FileDescriptorProto] = []
        for index, path in enumerate(self._environment.descriptors):
            at = f"descriptors[{index}]"
            try:
                files.extend(FileDescriptorSet.FromString(path.read_bytes()).file)
            except DecodeError:
                self._unreadable = True
                self._add([Problem(at, f'"{path.name}" is not a descriptor set; `mesh generate` makes one')])
            except OSError:
                self._unreadable = True  # said already: it is not there
        return files

    def _check_names(self, known: Mapping[str, ServiceDescriptor]) -> None:
        at = Problems()
        for index, service in enumerate(self._environment.services):
            for position, name in enumerate(service.serves):
                if name not in known:
                    here = at.field("services").item(index).field("serves").item(position)
                    here.add(f'"{name}" is not a service of the descriptors{suggest(name, known)}')
        self._add(at.list)

    def _check_annotations(self, services: Iterable[ServiceDescriptor], pool: object, places: Places) -> None:
        """Check the policies written in protos, on top of which the environment's are known to be right."""
        table = policies.PolicyTable(pool=pool)  # type: ignore[arg-type] # upb's pool has a class of its own
        for service in services:
            for method in service.methods:
                at = Problems(f"{method.full_name} (mesh.v1 policy)")
                table.policy(f"/{service.full_name}/{method.name}", at)
                self._add_placed(at.list, places)

    def _check_default_fallback(self, services: Iterable[str], pool: object) -> None:
        """Check a fallback for every method against those that write none of their own."""
        written = self._environment.proto.policies
        at = Problems("policies.defaults.fallback")
        own = {entry.service: entry for entry in written.services}
        for name in services:
            entry = own.get(name)
            if entry is None or not entry.policy.HasField("fallback"):
                but = (
                    ()
                    if entry is None
                    else [one.method for one in entry.methods if one.policy.HasField("fallback")]
                )
                fallback.check(written.defaults, name, but, pool, at)  # type: ignore[arg-type] # as above
        self._add(at.list)

    def _check_gateway(self, places: Places) -> tuple[int, int]:
        """Have the gateway read what it would serve; what was found before is not said twice."""
        try:
            from gateway.load import load_environment
        except ModuleNotFoundError as error:
            advice = f"needs {error.name}, which is not installed; pip install 'grpc-mesh[gateway]'"
            self._add([Problem("gateway", advice)])
            return 0, 0
        try:
            blueprint = load_environment(self._environment)
        except ConfigError as error:
            known = {(diagnostic.path, diagnostic.message) for diagnostic in self._diagnostics}
            self._add_placed([problem for problem in error.problems if problem not in known], places)
            return 0, 0
        return len(blueprint.table.bindings), len(blueprint.plans)

    def _add(self, problems: Iterable[Problem]) -> None:
        self._diagnostics += locate(self._file, self._environment.lines, problems)

    def _add_placed(self, problems: Iterable[Problem], places: Places) -> None:
        """Add problems of which some are in protos: their paths begin with the full name of a method."""
        for problem in problems:
            place = places.get(problem.path.partition(" ")[0].replace("/", "."))
            if place is None:
                self._add([problem])
            else:
                self._diagnostics.append(Diagnostic(*place, None, problem.path, problem.message))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
