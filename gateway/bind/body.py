"""Decides how the body of a request is read: by what the binding says the body is, and by the content type."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.bind import content
from gateway.bind.form import Form
from gateway.bind.multipart import MultipartForm
from gateway.bind.upload import takes_form
from gateway.codec.json import Codec, parse
from gateway.problem import Violation, refuse
from gateway.route.table import Binding
from gateway.schema.kind import HTTP_BODY, is_message, message_of

ReadBody = Callable[[bytes, str], Message]
"""Makes a message of a body and its content type, before path and query are bound; raises RequestProblem."""

_UNWANTED: Final = "a body was sent, and this method takes none"
_JSON_SPACE: Final = b" \t\r\n"
_JSON_OR_FORM: Final = f"send application/json, {content.FORM} or {content.MULTIPART}"


def compile_body(binding: Binding, codec: Codec) -> ReadBody:
    """Return the function that reads the body of a binding; `codec` is that of the method's input type."""
    descriptor = binding.method.input_type
    message_class = GetMessageClass(descriptor)
    if not binding.body:
        return refuse_body(binding)
    if binding.body == "*":
        if descriptor.full_name == HTTP_BODY:
            return functools.partial(_read_raw, message_class)
        return functools.partial(_read_whole, codec, message_class, _Forms(message_class, codec))
    field = descriptor.fields_by_name[binding.body]
    if is_message(field) and message_of(field).full_name == HTTP_BODY:
        return functools.partial(_read_raw_field, message_class, field.name)
    forms = _Forms(message_class, codec, field) if takes_form(binding) else None
    return functools.partial(_read_field, codec, message_class, field, forms)


def refuse_body(binding: Binding) -> ReadBody:
    """Return the function of a binding that takes no body."""
    return functools.partial(_refuse_body, GetMessageClass(binding.method.input_type))


class _Forms:
    """Both kinds of form, for one message."""

    __slots__ = ("_field", "_form", "_message_class", "_parts")

    def __init__(
        self, message_class: type[Message], codec: Codec, field: FieldDescriptor | None = None
    ) -> None:
        self._message_class = message_class
        self._field = field
        self._parts = MultipartForm(message_class, codec, field)
        self._form: Form = self._parts.form

    def read(self, body: bytes, content_type: str) -> Message | None:
        """Return the message that a form makes; None for a body that is no form."""
        media = content.media_type(content_type)
        if media == content.MULTIPART:
            return self._parts.read(body, content_type)
        if media != content.FORM:
            return None
        message = self._message_class()
        root = message if self._field is None else getattr(message, self._field.name)
        root.SetInParent()
        self._form.read(root, body, content_type)
        return message

    def __repr__(self) -> str:
        return f"<Forms of {self._message_class.DESCRIPTOR.full_name}>"


def _refuse_body(message_class: type[Message], body: bytes, content_type: str) -> Message:
    del content_type
    if body.strip(_JSON_SPACE):
        # "If HttpRule.body is omitted, there is no HTTP request body" - google/api/http.proto
        raise refuse([Violation("", _UNWANTED)])
    return message_class()


def _read_whole(
    codec: Codec, message_class: type[Message], forms: _Forms, body: bytes, content_type: str
) -> Message:
    if not body:
        return message_class()
    if content_type not in content.PLAIN:
        if (message := forms.read(body, content_type)) is not None:
            return message
        content.check(content_type, _JSON_OR_FORM)
    return codec.decode(body)


def _read_field(
    codec: Codec,
    message_class: type[Message],
    field: FieldDescriptor,
    forms: _Forms | None,
    body: bytes,
    content_type: str,
) -> Message:
    if body and content_type not in content.PLAIN:
        if forms is not None and (made := forms.read(body, content_type)) is not None:
            return made
        content.check(content_type, *(() if forms is None else (_JSON_OR_FORM,)))
    message = message_class()
    if body:
        codec.set_field(message, field, parse(body, field.json_name), field.json_name)
    return message


def _read_raw(message_class: type[Message], body: bytes, content_type: str) -> Message:
    # "This message can be used both in streaming and non-streaming API methods in the request as well as the
    # response. [...] the HTTP Content-Type header value specifying the content type of the body." -
    # google/api/httpbody.proto
    return message_class(content_type=content_type, data=body)


def _read_raw_field(message_class: type[Message], name: str, body: bytes, content_type: str) -> Message:
    if not body and not content_type:
        return message_class()  # nothing was sent: the field stays unset, as any other does
    return message_class(**{name: {"content_type": content_type, "data": body}})
