"""Decides which answers an operation has: its successes in every framing, and the errors that can come instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

import orjson
from google.protobuf.descriptor import Descriptor
from google.rpc import status_pb2

from gateway.render.status import HTTP_STATUS
from gateway.route.table import Binding
from gateway.schema.json_schema import Components
from gateway.schema.json_type import Json
from gateway.schema.openapi_body import LINES, RAW, is_raw_answer
from gateway.schema.openapi_example import Examples
from mesh.call import Code
from mesh.config.edge import Rest

EVENTS: Final = "text/event-stream"
_JSON: Final = "application/json"
_PROBLEM: Final = "application/problem+json"
_PROBLEM_NAME: Final = "gateway.v1.Problem"

_ALWAYS: Final = (400, 401, 403, 404, 409, 429, 499, 500, 501, 503, 504)
"""What any call can end in, by google.rpc.Code's comments."""
_WITH_BODY: Final = (408, 413, 415)

# What the gateway says itself, beside the codes of services.
_WORDS: Final[Mapping[int, str]] = {
    400: "The request does not fit the method, or the state it meets: `details` has the violations.",
    401: "It is not known who asks.",
    403: "Whoever asks may not.",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    409: "It conflicts with something that is there, or that happens at the same time.",
    412: "The answer's version is not the one that `If-Match` names.",
    413: "The body is larger than the limit.",
    415: "The body's content type, charset or coding is not one that is read.",
    416: "The content ends before the range that is asked for.",
    429: "Too much is asked for: `Retry-After` says when to come back, if it is known.",
    499: "The call was cancelled.",
    500: "The service or the gateway failed.",
    501: "The service does not have the method.",
    503: "The service cannot be reached, or takes no more: it may be tried again.",
    504: "The answer did not come in time.",
}
_PHRASES: Final = {499: "Client Closed Request", 413: "Content Too Large"}
_RETRIED: Final = (429, 503)

_HEADERS: Final[Mapping[str, Json]] = {
    "X-Request-Id": {
        "description": "The id of the request, as logs have it: the client's own, if it sent one.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "After how many seconds to try again, if that is known.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {"description": "How to say who asks.", "schema": {"type": "string"}},
    "ETag": {"description": "The version of the answer.", "schema": {"type": "string"}},
    "Cache-Control": {
        "description": "Who may keep the answer, and for how long.",
        "schema": {"type": "string"},
    },
}


class Responses:
    """Writes the answers of one document's operations."""

    def __init__(
        self,
        components: Components,
        examples: Examples,
        comments: Mapping[str, str],
        *,
        problem_details: bool,
    ) -> None:
        self._components = components
        self._examples = examples
        self._comments = comments
        self._problem_details = problem_details
        self._used: set[int] = set()

    def of(self, binding: Binding, rest: Rest | None) -> Json:
        """Return the answers of a binding."""
        output = binding.method.output_type
        raw = is_raw_answer(binding)
        described = summary(self._comments.get(output.full_name, "")) or "OK"
        cached = rest is not None and rest.cache is not None
        reads = binding.http_method == "GET" and not binding.method.server_streaming
        headers = ("X-Request-Id", *(("ETag",) if reads else ()), *(("Cache-Control",) if cached else ()))
        whole: Json = {
            "description": described,
            "headers": _references("headers", headers),
            "content": RAW if raw else self._content(binding),
        }
        answers: Json = {"200": whole}
        errors = list(_ALWAYS)
        if reads and raw:
            answers["206"] = {**whole, "description": "The part of it that was asked for."}
            errors.append(416)
        if reads and cached:
            answers["304"] = {
                "description": "The answer is the one that the client has.",
                "headers": _references("headers", headers),
            }
        if binding.body:
            errors += _WITH_BODY
        self._used.update(errors)
        return answers | {
            str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in sorted(errors)
        }

    def errors(self) -> Json:
        """Return the components that errors are: those that operations refer to."""
        return {_name(status): self._error(status) for status in sorted(self._used)}

    def headers(self) -> Json:
        """Return the components that headers are."""
        return dict(_HEADERS) if self._used else {}

    def _content(self, binding: Binding) -> Json:
        output = binding.method.output_type
        if binding.response_body:
            field = output.fields_by_name[binding.response_body]
            schema, shown = self._components.field(field), self._examples.field(field, sent=False)
        else:
            schema, shown = self._components.message(output), self._examples.message(output, sent=False)
        if not binding.method.server_streaming:
            return {_JSON: {"schema": schema, **shown}}
        lines: Json = {"schema": self._line(schema)}
        events: Json = {"schema": {"type": "string", "description": _EVENTS}}
        array: Json = {"schema": {"type": "array", "items": schema}}
        if shown:
            example = shown["example"]
            lines["example"] = {"result": example}
            events["example"] = f"data: {orjson.dumps(example).decode()}\n\nevent: end\ndata: {{}}\n\n"
            array["example"] = [example]
        # The array is last, since it comes only to those who name it: generated clients take the first type that they know.
        return {LINES: lines, EVENTS: events, _JSON: array}

    def _line(self, result: Json) -> Json:
        return {
            "type": "object",
            "description": "One line of the stream: a result, or the error that ends it.",
            "properties": {"result": result, "error": self._status()},
        }

    def _status(self) -> Json:
        descriptor: Descriptor = status_pb2.Status.DESCRIPTOR
        return self._components.message(descriptor)

    def _error(self, status: int) -> Json:
        codes = [code for code in Code if code and HTTP_STATUS[code] == status]
        named = " or ".join(f"`{code.name}`" for code in codes)
        headers = ["X-Request-Id"]
        headers += ["Retry-After"] if status in _RETRIED else []
        headers += ["WWW-Authenticate"] if status == 401 else []
        shown = codes[0] if codes else Code.INVALID_ARGUMENT
        example = {"code": int(shown), "message": _WORDS[status].split(":")[0], "details": []}
        problem: Json = {
            _PROBLEM: {
                "schema": self._components.put(_PROBLEM_NAME, _problem()),
                "example": {
                    "type": "about:blank",
                    "title": _phrase(status),
                    "status": status,
                    "detail": example["message"],
                    "instance": "urn:request:4bf92f3577b34da6",
                    "code": example["code"],
                    "details": [],
                },
            }
        }
        plain: Json = {_JSON: {"schema": self._status(), "example": example}}
        return {
            "description": f"{_WORDS[status]} (gRPC: {named}.)" if named else _WORDS[status],
            "headers": _references("headers", headers),
            "content": problem if self._problem_details else plain | problem,
        }

    def __repr__(self) -> str:
        return f"<Responses of {self._components!r}>"


_EVENTS: Final = "Server-sent events: a message each in `data`, then one event `end`, or one event `error` with a google.rpc.Status."


def summary(text: str) -> str:
    """Return the first sentence of a comment, on one line."""
    paragraph = " ".join(text.split("\n\n", 1)[0].split())
    sentence, stop, _ = paragraph.partition(". ")
    return sentence + stop.strip()


def _problem() -> Json:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "An error as RFC 9457 has it, for those who name `application/problem+json` in `Accept`.",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "instance": {"type": "string", "format": "uri-reference"},
            "code": {"type": "integer", "description": "The google.rpc.Code."},
            "details": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["type", "title", "status", "detail", "instance", "code", "details"],
    }


def _phrase(status: int) -> str:
    return _PHRASES.get(status) or HTTPStatus(status).phrase


def _name(status: int) -> str:
    return _phrase(status).replace(" ", "")


def _references(kind: str, names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/{kind}/{name}"} for name in names}
