"""Decides which HTTP requests reach which methods, by google.api.http annotations and the rules of files.

A rule of a file replaces its method's annotation. What neither can say is decided here. A method without one is
reachable as `POST /package.Service/Method` with the request as the body, unless that is turned off. Methods that stream
are mapped like any other: a rule describes one message of the stream. Every problem is reported, each with the path of
the annotation or rule it is in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from gateway.route import template as templates
from gateway.route.rule_file import Rule
from gateway.route.template import Template, TemplateError
from gateway.route.trie import ANY_METHOD
from gateway.schema.kind import is_textual, resolve
from mesh.policy.problem import Problem, Problems, suggest

_PATTERNS: Final = {"get": "GET", "put": "PUT", "post": "POST", "delete": "DELETE", "patch": "PATCH"}
# RFC 9110, 5.6.2: "token = 1*tchar".
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """One HTTP mapping of one method: what google.api.HttpRule says, parsed and checked."""

    method: MethodDescriptor
    http_method: str
    """`GET` and so on, or `*` for any."""
    template: Template
    body: str
    """A field of the request, `*` for the whole of it, empty for no body."""
    response_body: str
    """A field of the response, empty for the whole of it."""
    owner: str
    """Where it was declared, as problems name it."""
    declared: bool
    """False for the mapping that a method without an annotation gets."""

    @property
    def full_method(self) -> str:
        """The name on the wire: `/package.Service/Method`."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    def __str__(self) -> str:
        return f"{self.http_method} {self.template} -> {self.method.full_name}"


class Skipped(NamedTuple):
    """A method that has no REST form, and why."""

    method: str
    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """Every binding, in the order of services and methods, and what was left out."""

    bindings: tuple[Binding, ...]
    skipped: tuple[Skipped, ...]


def read(
    services: Iterable[ServiceDescriptor],
    *,
    unannotated: bool = True,
    rules: Mapping[str, Rule] = MappingProxyType({}),
) -> tuple[Table, tuple[Problem, ...]]:
    """Return the table of bindings and every problem; `unannotated` exposes methods without a mapping.

    `rules` are the rules of files, by the full name of the method, as `rule_file.resolve` returns them.
    """
    bindings: list[Binding] = []
    skipped: list[Skipped] = []
    problems = Problems()
    for service in services:
        for method in service.methods:
            rule = rules.get(method.full_name) or _annotation(method)
            if rule is not None:
                bindings.extend(_read_rules(method, rule.proto, Problems(rule.owner, problems.list)))
            elif unannotated:
                path = templates.read(f"/{service.full_name}/{method.name}")
                bindings.append(Binding(method, "POST", path, "*", "", method.full_name, declared=False))
            else:
                skipped.append(Skipped(method.full_name, "it has no google.api.http annotation"))
    kept = tuple(_without_conflicts(bindings, problems))
    return Table(kept, tuple(skipped)), tuple(problems.list)


def _annotation(method: MethodDescriptor) -> Rule | None:
    # The options are parsed anew because a pool keeps the object it made first, in which an extension that
    # was not yet imported at the time stays unknown for good.
    options = MethodOptions.FromString(method.GetOptions().SerializeToString())
    if not options.HasExtension(annotations_pb2.http):
        return None
    return Rule(options.Extensions[annotations_pb2.http], f"{method.full_name} (google.api.http)")


def _read_rules(method: MethodDescriptor, rule: Any, at: Problems) -> Iterator[Binding]:
    first = _read_rule(method, rule, at)
    if first is not None:
        yield first
    for index, additional in enumerate(rule.additional_bindings):
        inner = at.field("additional_bindings").item(index)
        if additional.additional_bindings:
            # "Nested bindings must not contain an `additional_bindings` field themselves (that is, the
            # nesting may only be one level deep)." - google/api/http.proto
            inner.field("additional_bindings").add("bindings may be nested one level deep only")
        binding = _read_rule(method, additional, inner)
        if binding is not None:
            yield binding


def _read_rule(method: MethodDescriptor, rule: Any, at: Problems) -> Binding | None:
    found = len(at.list)
    http_method, path, where = _read_pattern(rule, at)
    template = None
    if path:
        try:
            template = templates.read(path)
        except TemplateError as error:
            where.add(str(error))
    if template is not None:
        _check_variables(method.input_type, template, where)
        if rule.body and any(variable.path == (rule.body,) for variable in template.variables):
            # "Leaf request fields [...] are classified into three categories": path, body, query. A field of a body that is
            # bound by the path, `{book.name}` beside `body: "book"`, is the path's.
            at.field("body").add(f'"{rule.body}" is a path variable already')
    _check_top_level(method.input_type, "" if rule.body == "*" else rule.body, at.field("body"))
    _check_top_level(method.output_type, rule.response_body, at.field("response_body"))
    if template is None or len(at.list) > found:
        return None
    return Binding(method, http_method, template, rule.body, rule.response_body, where.path, declared=True)


def _read_pattern(rule: Any, at: Problems) -> tuple[str, str, Problems]:
    pattern = rule.WhichOneof("pattern")
    if pattern is None:
        at.add("one of get, put, post, delete, patch or custom is required")
        return "", "", at
    where = at.field(pattern)
    if pattern != "custom":
        path = getattr(rule, pattern)
        if not path:
            where.add("the path is empty")
        return _PATTERNS[pattern], path, where
    kind = rule.custom.kind
    if not kind or not _TOKEN.issuperset(kind):
        where.field("kind").add(f'"{kind}" is not the name of an HTTP method')
    elif kind != ANY_METHOD and "*" in kind:
        where.field("kind").add(f'"{kind}": only "*" alone stands for any method')
    elif kind != kind.upper():
        # "The HTTP method name, uppercased." - the ASGI specification, of what a server hands on
        where.field("kind").add(f'"{kind}" would match no request: write "{kind.upper()}"')
    if not rule.custom.path:
        where.field("path").add("the path is empty")
    return kind, rule.custom.path, where.field("path")


def _check_variables(descriptor: Descriptor, template: Template, at: Problems) -> None:
    for variable in template.variables:
        try:
            field = resolve(descriptor, variable.path)[-1]
        except ValueError as error:
            at.add(str(error))
            continue
        # "The path variables **must not** refer to any repeated or mapped field, because client libraries are
        # not capable of handling such variable expansion." - google/api/http.proto
        if field.is_repeated:
            at.add(f'"{".".join(variable.path)}": a path variable must not be a repeated or map field')
        # And the same: "each field is a non-repeated field with a primitive (non-message) type". A message
        # that is one scalar in JSON (Timestamp, a wrapper) is let through, as grpc-gateway does.
        elif not is_textual(field):
            at.add(f'"{".".join(variable.path)}": a path variable must not be a message')


def _check_top_level(descriptor: Descriptor, name: str, at: Problems) -> None:
    # google/api/http.proto, of body and response_body alike: "the referred field must be present at the
    # top-level of the request message type".
    if name and name not in descriptor.fields_by_name:
        known = suggest(name, descriptor.fields_by_name)
        at.add(f'"{name}" is not a top-level field of {descriptor.full_name}{known}')


def _without_conflicts(bindings: Iterable[Binding], problems: Problems) -> Iterator[Binding]:
    taken: dict[tuple[str, object], Binding] = {}
    for binding in bindings:
        first = taken.setdefault((binding.http_method, binding.template.shape), binding)
        if first is binding:
            yield binding
        else:
            text = f'"{binding.http_method} {binding.template}" matches the same requests as {first.owner}'
            Problems(binding.owner, problems.list).add(f'{text} ("{first.template}")')
