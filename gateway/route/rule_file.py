"""Decides which HTTP rules the files of an operator give to which methods.

Such a file is YAML of a google.api.Service, of which `http.rules` is read: "any transcoding specified in the service
config will override any matching transcoding configuration in the proto" (google/api/http.proto). The other parts of a
google.api.Service are for other systems and skipped, except those that would change what HTTP requests mean: what is not
done here is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from google.api import service_pb2
from google.protobuf.descriptor import ServiceDescriptor

from mesh.config import document
from mesh.config.diagnostic import Diagnostic, locate
from mesh.policy.problem import Problem, Problems, suggest

_READ: Final = frozenset({"http", "system_parameters", "endpoints"})
_SKIPPED: Final = {"type": "google.api.Service"} | {
    name: None
    for field in service_pb2.Service.DESCRIPTOR.fields
    if field.name not in _READ
    for name in (field.name, field.json_name)
}


class Rule(NamedTuple):
    """One google.api.HttpRule of a file."""

    proto: Any
    owner: str
    """Where it is written: `rules.yaml:7: http.rules[0]`."""


def parse(text: str, *, file: str) -> tuple[tuple[Rule, ...], tuple[Problem, ...]]:
    """Read one file's rules, without those that have problems; `file` only names the text in problems."""
    parsed = document.parse(text, service_pb2.Service(), file=file, skipped=_SKIPPED)
    at = Problems()
    _check(parsed.message, at)
    found = [*parsed.diagnostics, *locate(file, parsed.lines, at.list)]
    if not parsed.message.http.rules and not found:
        found.append(Diagnostic(file, None, None, "http.rules", "is empty: the file says nothing"))
    rules = []
    for index, proto in enumerate(parsed.message.http.rules):
        path = f"http.rules[{index}]"
        # What is wrong with half a rule only follows from what is missing.
        if not any(problem.path == path or problem.path.startswith(f"{path}.") for problem in found):
            place = Diagnostic(file, parsed.lines.get(path), None, path, "")
            rules.append(Rule(proto, place.as_problem().path))
    return tuple(rules), tuple(problem.as_problem() for problem in found)


def resolve(
    rules: Iterable[Rule], exposed: Sequence[ServiceDescriptor], others: Sequence[ServiceDescriptor] = ()
) -> tuple[Mapping[str, Rule], tuple[Problem, ...]]:
    """Return the rule of each method that has one, by full name; `others` are services that are known, but not exposed.

    "All service configuration rules follow "last one wins" order." - google/api/http.proto
    """
    names = _methods(exposed)
    hidden = _methods(others)
    chosen: dict[str, Rule] = {}
    problems: list[Problem] = []
    for rule in rules:
        at = Problems(rule.owner, problems).field("selector")
        for pattern in _patterns(rule.proto.selector, at):
            selected = _select(pattern, names)
            # One rule may select several methods, so what is said of it says whose it is.
            chosen |= {name: Rule(rule.proto, f"{rule.owner} ({name})") for name in selected}
            if selected:
                continue
            if _select(pattern, hidden):
                at.add(f'"{pattern}" selects only methods of services that are not exposed')
            else:
                at.add(f'"{pattern}" selects no method{suggest(pattern, _known(names))}')
    return chosen, tuple(problems)


def _check(service: service_pb2.Service, at: Problems) -> None:
    http = at.field("http")
    if service.http.fully_decode_reserved_expansion:
        # "The server side does the reverse decoding, except "%2F" and "%2f" are left unchanged." - of captures of
        # several segments, google/api/http.proto. To decode these too would make `a%2Fb/c` and `a/b/c` one name.
        http.field("fully_decode_reserved_expansion").add(
            'is not supported: "%2F" stays as it is in a variable of several segments'
        )
    for index, rule in enumerate(service.http.rules):
        for position, inner in enumerate(rule.additional_bindings):
            if inner.selector:
                here = http.field("rules").item(index).field("additional_bindings").item(position)
                here.field("selector").add("only a rule has a selector, not what is bound in addition")
    if service.system_parameters.rules:
        at.field("system_parameters").add("is not supported: headers and parameters keep their names")
    for index, endpoint in enumerate(service.endpoints):
        if endpoint.allow_cors:
            here = at.field("endpoints").item(index).field("allow_cors")
            here.add("is not read here: say it in the gateway's settings, under cors")


def _patterns(selector: str, at: Problems) -> Iterator[str]:
    # "The selector is a comma-separated list of patterns [...]. Each pattern is a qualified name of the element which
    # may end in "*", indicating a wildcard. Wildcards are only allowed at the end and for a whole component of the
    # qualified name, i.e. "foo.*" is ok, but not "foo.b*" or "foo.*.bar"." - google/api/documentation.proto
    if not selector:
        at.add("is required: the full name of a method")
        return
    for pattern in map(str.strip, selector.split(",")):
        if not pattern:
            at.add(f'"{selector}": a pattern is empty')
        elif "*" in pattern.removesuffix(".*" if pattern != "*" else "*"):
            at.add(f'"{pattern}": a "*" must be the last component, and the whole of it')
        else:
            yield pattern


def _methods(services: Sequence[ServiceDescriptor]) -> dict[str, None]:
    return dict.fromkeys(method.full_name for service in services for method in service.methods)


def _select(pattern: str, names: Mapping[str, None]) -> list[str]:
    # "A wildcard will match one or more components. To specify a default for all applicable elements, the whole
    # pattern "*" is used." - google/api/documentation.proto
    if pattern.endswith("*"):
        return [name for name in names if name.startswith(pattern[:-1])]
    return [pattern] if pattern in names else []


def _known(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield name
        yield f"{name.rpartition('.')[0]}.*"
