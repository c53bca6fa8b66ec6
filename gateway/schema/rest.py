"""What each method says about its REST form: its annotation `gateway.v1.rest`, or the environment's word in its place.

What is wrong with it is a problem at load, since nothing of it may be without effect: a field that is not there, a header
that no backend is told of, a cache for a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from gateway.edge.header import matcher
from gateway.schema.kind import is_message, message_of
from gateway.v1 import annotations_pb2
from mesh.config.edge import Rest
from mesh.config.read_gateway import read_rest
from mesh.config.spec import Gateway as Settings
from mesh.policy.problem import Problem, Problems, suggest

# Handed on by default, and what most answers that differ differ by; naming it is no mistake where it is not.
_ALWAYS: Final = "accept-language"


def read_rests(
    services: Iterable[ServiceDescriptor], settings: Settings
) -> tuple[Mapping[str, Rest], tuple[Problem, ...]]:
    """Return what is said of each method, by `/package.Service/Method`, and every problem."""
    rests: dict[str, Rest] = {}
    problems = Problems()
    passes = matcher(settings.forward_headers)
    methods = {
        f"{service.full_name}/{method.name}": method for service in services for method in service.methods
    }
    paths = {name: index for index, name in enumerate(settings.methods)}
    for name, method in methods.items():
        if name in settings.methods:
            rest: Rest | None = settings.methods[name]
            at = Problems(f"gateway.methods[{paths[name]}].rest", problems.list)
        else:
            at = Problems(f"{method.full_name} (gateway.v1.rest)", problems.list)
            rest = _annotation(method, at)
        if rest is not None:
            _check(rest, method, passes, at)
            rests["/" + name] = rest
    for name in settings.methods:
        if name not in methods:
            text = f'"{name}" is not a method of the services exposed{suggest(name, methods)}'
            problems.list.append(Problem(f"gateway.methods[{paths[name]}].method", text))
    return rests, tuple(problems.list)


def _annotation(method: MethodDescriptor, at: Problems) -> Rest | None:
    # Parsed anew: a pool keeps the object it made first, in which an extension not yet imported stays unknown.
    options = MethodOptions.FromString(method.GetOptions().SerializeToString())
    if not options.HasExtension(annotations_pb2.rest):
        return None
    return read_rest(options.Extensions[annotations_pb2.rest], at)


def _check(rest: Rest, method: MethodDescriptor, passes: Callable[[str], bool], at: Problems) -> None:
    if rest.cache is not None:
        if method.server_streaming:
            at.field("cache").add("a response that is a stream is not kept by anybody")
        for index, name in enumerate(rest.cache.vary):
            if name != _ALWAYS and not passes(name):
                at.field("cache").field("vary").item(index).add(
                    f'"{name}" is not among gateway.forward_headers, so no answer can depend on it'
                )
    if rest.event_id:
        if not method.server_streaming:
            at.field("event_id").add("the response is one message: only those of a stream are events")
        _check_path(rest.event_id, method.output_type, at.field("event_id"))
    if rest.last_event_id:
        _check_path(rest.last_event_id, method.input_type, at.field("last_event_id"))


def _check_path(path: str, message: Descriptor, at: Problems) -> None:
    names = path.split(".")
    for depth, name in enumerate(names, 1):
        field = message.fields_by_name.get(name)
        if field is None:
            at.add(
                f'"{path}": {message.full_name} has no field "{name}"{suggest(name, message.fields_by_name)}'
            )
            return
        if field.is_repeated:
            at.add(f'"{path}": {field.full_name} is a list or a map')
            return
        if depth < len(names):
            if not is_message(field):
                at.add(f'"{path}": {field.full_name} has no fields')
                return
            message = message_of(field)
        elif is_message(field):
            at.add(f'"{path}": {field.full_name} is a message, and an id is one value')
