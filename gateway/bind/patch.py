"""Decides when a PATCH gets a field mask made of its body: the client gives none, and the request has a place for it.

With `body: "*"` none is made: "all fields are passed via URL path and HTTP request body" (google/api/http.proto), so the
mask is one of the body's fields and the client's to give.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.bind import content, query
from gateway.bind.mask import Mask, mask_field
from gateway.codec.json import Codec, parse
from gateway.codec.shape import SPECIAL
from gateway.problem import Violation, refuse
from gateway.route.table import Binding
from gateway.schema.kind import HTTP_BODY, is_message, message_of

_NO_FORM = (
    "the fields that a PATCH changes are read from JSON: send application/json, or the mask beside the form"
)


def compile_patch(binding: Binding, codec: Codec) -> Patch | None:
    """Return how a binding makes masks; None for one that makes none."""
    descriptor = binding.method.input_type
    body = descriptor.fields_by_name.get(binding.body)
    mask = mask_field(descriptor)
    if binding.http_method != "PATCH" or body is None or mask is None or not is_message(body):
        return None
    if message_of(body).full_name in {HTTP_BODY, *SPECIAL}:
        return None
    variables = [variable.path for variable in binding.template.variables]
    if any(path[0] == mask.name for path in variables):
        return None
    return Patch(codec, body, mask, [".".join(path[1:]) for path in variables if path[0] == body.name])


class Patch:
    """The body of a PATCH, read together with the mask of what it changes."""

    __slots__ = ("_body", "_class", "_codec", "_mask", "_mask_name", "_mask_names")

    def __init__(self, codec: Codec, body: FieldDescriptor, mask: FieldDescriptor, fixed: list[str]) -> None:
        """`fixed` are the paths below the body's field that the path of the request says."""
        self._codec = codec
        self._body = body
        self._class: type[Message] = GetMessageClass(codec.descriptor)
        self._mask = Mask(message_of(body), fixed=fixed, ignore_unknown=codec.options.ignore_unknown)
        self._mask_name = mask.name
        self._mask_names = frozenset({mask.name, mask.json_name})

    def is_masked(self, query_string: bytes) -> bool:
        """Whether the client gives the mask; what is malformed is found when the query is bound."""
        if not query_string:
            return False
        return any(name in self._mask_names for name, _ in query.read(query_string, []))

    @staticmethod
    def unmerged(content_type: str) -> str:
        """Return the content type for a body whose mask the client gives: a merge patch is then read as JSON."""
        if content_type not in content.PLAIN and content.media_type(content_type) == content.MERGE_PATCH:
            content.check_charset(content_type)
            return content.JSON
        return content_type

    def read(self, body: bytes, content_type: str) -> Message:
        """Return the message with the body's field and the mask; raise RequestProblem with every violation.

        A patch of nothing, `{}`, has a mask that is there and empty. Without a body there is no mask either.
        """
        message = self._class()
        if not body:
            return message
        merge = False
        if content_type not in content.PLAIN:
            merge = content.media_type(content_type) == content.MERGE_PATCH
            if merge:
                content.check_charset(content_type)
            else:
                content.check(content_type, _NO_FORM)
        at = self._body.json_name
        value = parse(body, at)
        if type(value) is not dict:
            # RFC 7396, 2: such a patch replaces the whole; which a resource is not, by a number or by nothing.
            raise refuse([Violation(at, "a patch is an object with the fields to change")])
        paths, violations = self._mask.derive(value, at, merge=merge)
        if violations:
            raise refuse(violations)
        self._codec.set_field(message, self._body, value, at)
        mask: Any = getattr(message, self._mask_name)
        mask.SetInParent()
        mask.paths.extend(paths)
        return message

    def __repr__(self) -> str:
        return f"<Patch {self._body.full_name} by {self._mask_name}>"
