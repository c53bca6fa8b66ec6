"""Decides how a request message is made of what an HTTP request carries: captures, query, body.

google/api/http.proto sorts the fields of a request into three kinds, and so does this:

-   "Fields referred by the path template. They are passed via the URL path." Nothing overrides them: a body
    or a query that gives such a field another value is refused, one that repeats the value is not.
-   "Fields referred by the HttpRule.body. They are passed via the HTTP request body." A missing body leaves
    them unset.
-   "All other fields are passed via the URL query parameters, and the parameter name is the field path in the
    request message." There are none if the body is `*`.

What has no place in the message (unknown parameters, a body where none is declared) is refused as well, so
that a misspelt name cannot pass for an answer. Everything found is reported at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from google.protobuf import message_factory
from google.protobuf.message import Message

from gateway.bind import query
from gateway.bind.body import ReadBody, compile_body, refuse_body
from gateway.bind.field import MisuseError, Names, ParameterError, Target, printed_name
from gateway.bind.patch import compile_patch
from gateway.codec.json import Codec, check_required
from gateway.problem import RequestProblem, Violation, refuse
from gateway.route.table import Binding
from gateway.route.template import decode
from gateway.schema.kind import resolve

Bind = Callable[[Sequence[str], bytes, bytes, str], Message]
"""Makes the request of captures, query string, body and content type, or raises RequestProblem."""

Envelope = Callable[[Sequence[str], bytes], Message]
"""Makes what captures and query string say of a request whose body is read apart."""


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What is let pass in a query."""

    ignore_unknown: bool = False
    """Skip parameters that name no field, instead of refusing them."""
    ignored: frozenset[str] = frozenset()
    """Parameters that are not the method's, such as an API key: skipped wherever they name no field."""


def compile_request(binding: Binding, codec: Codec, options: QueryOptions | None = None) -> Bind:
    """Return the function that makes the request of a binding; `codec` is that of the method's input type."""
    options = options or QueryOptions()
    bind = _Request(binding, compile_body(binding, codec), options).bind
    patch = compile_patch(binding, codec)
    if patch is None:
        return bind
    derive = _Request(binding, patch.read, options).bind

    def bind_patch(
        captures: Sequence[str], query_string: bytes, body: bytes, content_type: str = ""
    ) -> Message:
        # The client's own mask is the one that holds.
        if patch.is_masked(query_string):
            return bind(captures, query_string, body, patch.unmerged(content_type))
        return derive(captures, query_string, body, content_type)

    return bind_patch


def compile_envelope(binding: Binding, options: QueryOptions | None = None) -> Envelope:
    """Return the function that binds path and query alone, for methods whose bodies are read piece by piece."""
    bind = _Request(binding, refuse_body(binding), options or QueryOptions(), complete=False).bind
    return lambda captures, query_string: bind(captures, query_string, b"")


def compile_bound(binding: Binding, read_body: ReadBody, options: QueryOptions | None = None) -> Bind:
    """Return the function that makes the request of a binding whose bodies are read by `read_body`."""
    return _Request(binding, read_body, options or QueryOptions()).bind


class _Request:
    """A compiled binding: the steps of `bind`, each with its descriptors resolved."""

    __slots__ = ("_body", "_captures", "_class", "_complete", "_covered", "_names", "_options", "_paths")

    def __init__(
        self, binding: Binding, read_body: ReadBody, options: QueryOptions, *, complete: bool = True
    ) -> None:
        """`complete` says whether proto2's required fields must be there."""
        descriptor = binding.method.input_type
        self._class: type[Message] = message_factory.GetMessageClass(descriptor)
        self._options = options
        self._captures = tuple(
            (Target(resolve(descriptor, variable.path)), variable) for variable in binding.template.variables
        )
        self._paths = {target.path: target for target, _ in self._captures}
        self._body = read_body
        self._complete = complete
        self._covered = frozenset(
            target.path for target, variable in self._captures if binding.body in {"*", variable.path[0]}
        )
        self._names = None if binding.body == "*" else Names(descriptor, binding.body)

    def bind(
        self, captures: Sequence[str], query_string: bytes, body: bytes, content_type: str = ""
    ) -> Message:
        """Make the request, or raise RequestProblem with every violation."""
        violations: list[Violation] = []
        try:
            message = self._body(body, content_type)
        except RequestProblem as problem:
            # Another content type cannot be mended field by field.
            if problem.http_status is not None:
                raise
            violations.extend(problem.violations or (Violation("", problem.message),))
            message = self._class()
        if self._captures:
            self._bind_path(message, captures, violations)
        if query_string:
            self._bind_query(message, query_string, violations)
        if violations:
            raise refuse(violations)
        if self._complete:
            check_required(message)
        return message

    def _bind_path(self, message: Message, captures: Sequence[str], violations: list[Violation]) -> None:
        for (target, variable), raw in zip(self._captures, captures, strict=True):
            try:
                text = decode(raw, multi=variable.multi)
            except ValueError as error:
                violations.append(Violation(target.path, query.printable(str(error))))
                continue
            if target.path in self._covered and target.is_set(message):
                wrong = target.disagrees(message, text, "the body gives another value than the path's")
            else:
                wrong = target.put(message, text)
            if wrong:
                violations.append(Violation(target.path, wrong))

    def _bind_query(self, message: Message, query_string: bytes, violations: list[Violation]) -> None:
        given: set[str] = set()
        for name, text in query.read(query_string, violations):
            try:
                target = self._find(name)
            except ParameterError as error:
                if not self._passes(name, error):
                    violations.append(Violation(printed_name(name), str(error)))
                continue
            if target.path in self._paths:
                wrong = target.disagrees(message, text, "the query gives another value than the path's")
            elif target.path in given and not target.many:
                wrong = "is given more than once"
            else:
                given.add(target.path)
                wrong = target.put(message, text)
            if wrong:
                violations.append(Violation(target.path, wrong))

    def _find(self, name: str) -> Target:
        if self._names is None:
            # "If HttpRule.body is "*", there is no URL query parameter, all fields are passed via URL path
            # and HTTP request body." - google/api/http.proto
            raise ParameterError("this method takes no query parameters: its fields are given in the body")
        return self._names.find(name)

    def _passes(self, name: str, error: ParameterError) -> bool:
        if isinstance(error, MisuseError):
            return False
        return self._options.ignore_unknown or name in self._options.ignored

    def __repr__(self) -> str:
        return f"<Request {self._class.DESCRIPTOR.full_name}>"
