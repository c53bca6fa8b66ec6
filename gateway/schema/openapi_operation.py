"""Decides what the document says of one binding as a whole: its name, its words, who may call it, how it streams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from google.protobuf.descriptor import Descriptor, MethodDescriptor

from gateway.codec.option import Options
from gateway.edge.header import matcher
from gateway.route.table import Binding
from gateway.route.trie import ANY_METHOD
from gateway.schema.json_schema import Components, reach
from gateway.schema.json_type import Json
from gateway.schema.kind import message_of
from gateway.schema.openapi_body import Bodies, is_raw_answer, sent_messages
from gateway.schema.openapi_example import Examples
from gateway.schema.openapi_parameter import Parameters
from gateway.schema.openapi_path import Part
from gateway.schema.openapi_response import Responses, summary
from gateway.schema.pool import Schema
from mesh.config.edge import Rest
from mesh.config.spec import Gateway as Settings

BEARER: Final = "bearer"

_SERVER_STREAM: Final = (
    "Answers with a stream: newline-delimited JSON, unless `Accept` asks for server-sent events (`text/event-stream`) or one "
    "JSON array (`application/json`, named first). A failure is a last line or event of its own; an array breaks off."
)
_RAW_STREAM: Final = (
    "Answers with the service's bytes as they come. If it fails in the middle, the body breaks off."
)
_CLIENT_STREAM: Final = "Takes a stream of messages, which are read as they come."
_BOTH: Final = "Over HTTP/2 both streams go on at the same time."
_SOCKET: Final = "A WebSocket on this path does the same: each frame is a message, as JSON text or in its binary wire form."


class Operations:
    """Writes the operations of one document, and owns the components that they refer to."""

    def __init__(
        self,
        schema: Schema,
        bindings: Sequence[Binding],
        settings: Settings,
        rests: Mapping[str, Rest],
    ) -> None:
        asked = settings.json
        options = Options(
            proto_names=asked.proto_names,
            enum_numbers=asked.enum_numbers,
            emit_defaults=asked.emit_defaults,
            ignore_unknown=asked.ignore_unknown,
        )
        comments = schema.comments
        self.components = Components(
            comments,
            options,
            sent=reach(message for binding in bindings for message in sent_messages(binding)),
            answered=reach(_answered(bindings)),
        )
        examples = Examples(options)
        self.responses = Responses(
            self.components, examples, comments, problem_details=settings.problem_details
        )
        self._parameters = Parameters(self.components, comments)
        self._bodies = Bodies(self.components, examples)
        self._comments = comments
        self._rests = rests
        services = [binding.method.containing_service for binding in bindings]
        names = {service.full_name: service.name for service in services}
        short = Counter(names.values())
        self._tags = {
            full_name: name if short[name] == 1 else full_name for full_name, name in sorted(names.items())
        }
        self._given: Counter[str] = Counter()
        # Credentials that go to no service are of no use to anybody.
        self.secured = bool(bindings) and matcher(settings.forward_headers)("authorization")

    def tags(self) -> list[Json]:
        """Return the services, as what operations are grouped by."""
        return [
            {"name": tag, **({"description": text} if (text := self._comments.get(service)) else {})}
            for service, tag in self._tags.items()
        ]

    def of(self, binding: Binding, parts: Sequence[Part]) -> Json:
        """Return the operation of a binding; `parts` are the parameters of its path, as the document names them."""
        method = binding.method
        rest = self._rests.get(binding.full_method)
        operation: Json = {
            "operationId": self._operation_id(method),
            "tags": [self._tags[method.containing_service.full_name]],
        }
        operation |= self._described(binding)
        if method.GetOptions().deprecated:
            operation["deprecated"] = True
        if parameters := self._parameters.of(binding, parts, rest, raw=is_raw_answer(binding)):
            operation["parameters"] = parameters
        if binding.body:
            operation["requestBody"] = self._bodies.of(binding)
        operation["responses"] = self.responses.of(binding, rest)
        operation["x-grpc-method"] = binding.full_method
        if streams := _streams(method):
            operation["x-grpc-streaming"] = streams
        return operation

    def _described(self, binding: Binding) -> Json:
        method = binding.method
        comment = self._comments.get(method.full_name, "")
        words = [comment]
        if binding.http_method == ANY_METHOD:
            words.append("Any HTTP method will do.")
        if method.server_streaming:
            words.append(_RAW_STREAM if is_raw_answer(binding) else _SERVER_STREAM)
        if method.client_streaming:
            words.append(_CLIENT_STREAM)
        if _streams(method):
            words.append(f"{_BOTH} {_SOCKET}" if _streams(method) == "both" else _SOCKET)
        short, text = summary(comment), "\n\n".join(filter(None, words))
        described = {"summary": short} if short else {}
        return described | ({"description": text} if text != short else {})

    def _operation_id(self, method: MethodDescriptor) -> str:
        name = f"{self._tags[method.containing_service.full_name]}_{method.name}"
        while True:
            self._given[name] += 1
            if (count := self._given[name]) == 1:
                return name
            # Another method may be called so.
            if not self._given[numbered := f"{name}_{count}"]:
                self._given[numbered] = 1
                return numbered

    def __repr__(self) -> str:
        return f"<Operations of {len(self._tags)} services>"


def _streams(method: MethodDescriptor) -> str:
    if method.client_streaming:
        return "both" if method.server_streaming else "client"
    return "server" if method.server_streaming else ""


def _answered(bindings: Iterable[Binding]) -> Iterable[Descriptor]:
    for binding in bindings:
        output = binding.method.output_type
        if not binding.response_body:
            yield output
        elif (held := output.fields_by_name[binding.response_body]).message_type is not None:
            yield message_of(held)
