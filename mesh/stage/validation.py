"""Whether a request keeps the `buf.validate` rules of its proto, asked before its handler sees it."""

from __future__ import annotations

import importlib.util
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from mesh.call import Call, Direction, Outcome
from mesh.contract import Stage
from mesh.errors import ConfigError
from mesh.policy import annotation
from mesh.policy.problem import Problem
from mesh.stage import violation
from mesh.stage.scope import OFF, Scope

NAME: Final = "validation"
# The number of all three options, `(buf.validate.message)`, `(buf.validate.oneof)` and `(buf.validate.field)`.
_RULES: Final = 1159
_RECEIVED: Final = Direction.RECEIVED  # looking up a member of an enum costs 0.1 us on 3.11


class Validation(Stage):
    """Checks each request message. What is no protobuf message, as the bytes of generic handlers, has no rules."""

    __slots__ = ("_validator",)

    name = NAME

    def __init__(self, validator: Any) -> None:
        self._validator = validator

    def message(
        self,
        call: Call,  # noqa: ARG002 - the contract's signature
        ticket: Any,  # noqa: ARG002
        message: Any,
        direction: Direction,
        now: float,  # noqa: ARG002
    ) -> Outcome | None:
        if direction is not _RECEIVED or not isinstance(message, Message):
            return None
        violations = self._validator.collect_violations(message)
        return violation.refusal(violations, NAME) if violations else None


def build(scope: Scope) -> Stage | None:
    """Return the stage; None where the request has no rules to check.

    Raises ConfigError without the package, or when the rules do not compile.
    """
    if scope.policy.validation is None:
        return None
    request = _request(scope)
    if request is not None and not _has_rules(request, set()):
        return None
    if importlib.util.find_spec("protovalidate") is None:
        raise ConfigError(
            [
                Problem(
                    f"{scope.method}: validation", "needs protovalidate: pip install 'grpc-mesh[validation]'"
                )
            ]
        )
    import protovalidate

    # One for all methods: it keeps the compiled rules of each message type.
    validator = scope.state.keep(NAME, protovalidate.Validator)
    if request is not None:
        try:
            validator.collect_violations(message_factory.GetMessageClass(request)())
        except protovalidate.CompilationError as error:
            raise ConfigError([Problem(f"{scope.method}: validation", str(error))]) from None
        except protovalidate.EvaluationError:
            pass  # the rules stand; an empty message is not what they are about
    return Validation(validator)


def describe(scope: Scope) -> str:
    request = _request(scope)
    what = "requests that are protobuf messages" if request is None else request.full_name
    return f"{what} by buf.validate rules; bytes are not checked"


def absent(scope: Scope) -> str:
    """Say why a method's chain has no such stage."""
    if scope.policy.validation is None:
        return OFF
    return "the request has no rules"


def _request(scope: Scope) -> Descriptor | None:
    """Return the type of the method's requests, if any descriptors know it: first those that handlers are made of."""
    method = annotation.descriptor(scope.method) or annotation.descriptor(scope.method, scope.pool)
    return None if method is None else method.input_type


def _has_rules(message: Descriptor, seen: set[str]) -> bool:
    """Whether a message or any that it may contain has rules."""
    if message.full_name in seen or message.full_name.startswith("google.protobuf."):
        return False
    seen.add(message.full_name)
    options = (message, *message.oneofs, *message.fields)
    if any(_names_rules(one.GetOptions()) for one in options):
        return True
    nested = (field.message_type for field in message.fields)
    return any(_has_rules(one, seen) for one in nested if one is not None)


def _names_rules(options: Message) -> bool:
    # An extension is known where its module was imported, and an unknown field anywhere else.
    return any(field.number == _RULES for field, _ in options.ListFields()) or any(
        unknown.field_number == _RULES
        for unknown in UnknownFieldSet(options)  # type: ignore[attr-defined]  # a sequence, unlike in the stubs
    )
