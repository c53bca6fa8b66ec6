"""Decides what a schema is: descriptors in a pool of their own, the services to expose, the comments to show.

A descriptor set may leave out what every gateway has: google/protobuf, google/api and the like are added from
the installed packages. A file whose import is nowhere to be found is a problem, named with the file that
wants it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from gateway.schema import comment
from mesh.policy.problem import Problem, suggest

_INSTALLED: Final = (
    "google/protobuf/",
    "google/api/",
    "google/rpc/",
    "google/type/",
    "google/longrunning/",
    "google/logging/type/",
    "mesh/v1/",
    "gateway/v1/",
)
"""Imports that Python packages may provide; a schema must not choose what else is imported."""

# Health, reflection and Google's mixins.
_PLUMBING: Final = (
    "grpc.reflection.",
    "grpc.health.",
    "grpc.channelz.",
    "google.longrunning.",
    "google.cloud.location.",
    "google.iam.v1.",
)


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """What the gateway knows of its backends. Everything in it comes from one pool."""

    pool: DescriptorPool
    services: tuple[ServiceDescriptor, ...]
    """The services to expose, sorted by full name."""
    comments: Mapping[str, str] = field(default_factory=dict)
    """Proto comments by full name, where the source had them."""

    def __repr__(self) -> str:
        return f"<Schema {', '.join(service.full_name for service in self.services) or 'without services'}>"


Loaded = tuple[Schema, tuple[Problem, ...]]


def read_set(data: bytes, services: Sequence[str] = ()) -> Loaded:
    """Read an encoded FileDescriptorSet; expose the named services, or all but plumbing when none is named.

    The schema holds what could be loaded; a caller that gets problems should refuse it.
    """
    try:
        files = FileDescriptorSet.FromString(data)
    except DecodeError:
        problem = Problem("descriptor set", "is not an encoded google.protobuf.FileDescriptorSet")
        return Schema(descriptor_pool.DescriptorPool(), ()), (problem,)
    return read_files(files.file, services)


def read_files(files: Iterable[FileDescriptorProto], services: Sequence[str] = ()) -> Loaded:
    """Read file descriptors, in any order, as `read_set` does; the same file may be given twice."""
    problems: list[Problem] = []
    loader = _Loader(_by_name(files, problems), problems)
    found = tuple(
        f"{file.package}.{service.name}".lstrip(".")
        for file in loader.given.values()
        if loader.load(file.name)
        for service in file.service
    )
    if not (found or services or problems):
        problems.append(Problem("descriptor set", "declares no service"))
    wanted = sorted(services or (name for name in found if not is_plumbing(name)))
    exposed = _find_services(loader.pool, wanted, found, problems)
    comments = comment.read(loader.given.values())
    return Schema(loader.pool, exposed, comments), tuple(problems)


def is_plumbing(service: str) -> bool:
    """Whether a service is one that servers carry beside their own: exposed only when asked for by name."""
    return service.startswith(_PLUMBING)


def _by_name(files: Iterable[FileDescriptorProto], problems: list[Problem]) -> dict[str, FileDescriptorProto]:
    given: dict[str, FileDescriptorProto] = {}
    for file in files:
        first = given.setdefault(file.name, file)
        if first is not file and first != file:
            problems.append(Problem(file.name, "is given twice, with different contents"))
    return given


def _find_services(
    pool: DescriptorPool, wanted: Iterable[str], known: Sequence[str], problems: list[Problem]
) -> tuple[ServiceDescriptor, ...]:
    exposed: list[ServiceDescriptor] = []
    for name in wanted:
        try:
            exposed.append(pool.FindServiceByName(name))
        except KeyError:
            problems.append(Problem(name, f"no such service in the schema{suggest(name, known)}"))
    return tuple(exposed)


class _Loader:
    """Adds files to a pool after the files they import, each at most once."""

    def __init__(self, given: dict[str, FileDescriptorProto], problems: list[Problem]) -> None:
        self.given = given
        self.pool: DescriptorPool = descriptor_pool.DescriptorPool()
        self._problems = problems
        self._done: dict[str, bool] = {}
        """By file name: whether it was added."""
        self._open: list[str] = []
        """The files whose imports are being added, outermost first."""

    def load(self, name: str, wanted_by: str = "") -> bool:
        """Add a file and all it imports; answer whether that worked. What failed once is reported once."""
        if name in self._open:
            cycle = " -> ".join(f'"{step}"' for step in (*self._open[self._open.index(name) :], name))
            self._problems.append(Problem(wanted_by, f"imports in a circle: {cycle}"))
            return False
        if name not in self._done:
            self._open.append(name)
            self._done[name] = self._add(name, wanted_by)
            self._open.pop()
        return self._done[name]

    def _add(self, name: str, wanted_by: str) -> bool:
        file = self.given.get(name) or _installed(name)
        if file is None:
            self._problems.append(Problem(wanted_by, f'imports "{name}", which the descriptor set lacks'))
            return False
        # All are tried, so that every missing import is named.
        loaded = [self.load(dependency, name) for dependency in file.dependency]
        if not all(loaded):
            return False
        try:
            self.pool.AddSerializedFile(file.SerializeToString())
        except TypeError as error:
            self._problems.append(Problem(name, f"cannot be loaded: {_reason(error)}"))
            return False
        return True


def _reason(error: TypeError) -> str:
    text = str(error).removeprefix("Couldn't build proto file into descriptor pool: ")
    return text[:1].lower() + text[1:]


def _installed(name: str) -> FileDescriptorProto | None:
    if not name.startswith(_INSTALLED) or not name.endswith(".proto"):
        return None
    try:
        module: Any = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    except ImportError:
        return None
    file: FileDescriptorProto = FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
    # google/longrunning/operations_pb2 describes a file of another name, which nobody imports.
    file.name = name
    return file
