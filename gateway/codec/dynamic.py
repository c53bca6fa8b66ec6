"""How Struct, Value and ListValue, messages that hold any JSON, are read and printed."""

from __future__ import annotations

import math
from typing import Any

from gateway.codec.fault import TOO_DEEP, Faults, full, mismatch, sentence, shown, step, too_deep, under
from gateway.codec.fault import add as add_fault
from gateway.codec.unencodable import Unencodable


def decode_value(value: object, message: Any, depth: int) -> Faults:
    """Read any JSON into a Value."""
    if depth < 1:
        return too_deep()
    try:
        match value:
            case None:
                message.null_value = 0
            case bool():
                message.bool_value = value
            case str():
                message.string_value = value
            case int() | float() if math.isfinite(value):
                message.number_value = value
            case dict():
                message.struct_value.SetInParent()
                return decode_struct(value, message.struct_value, depth - 1)
            case list():
                message.list_value.SetInParent()
                return decode_list(value, message.list_value, depth - 1)
            case _:
                return mismatch(None, "", value, "any JSON value")
    except (ValueError, OverflowError) as error:
        return mismatch(None, "", value, "any JSON value", error if isinstance(error, ValueError) else None)
    return None


def decode_struct(value: object, message: Any, depth: int) -> Faults:
    """Read a JSON object into a Struct."""
    if depth < 1:
        return too_deep()
    if type(value) is not dict:
        return mismatch(None, "", value, "an object")
    faults: Faults = None
    fields = message.fields
    for name, member in value.items():
        try:
            # The map's entry is a message too: parsers of the wire form count it.
            inner = decode_value(member, fields[name], depth - 2)
        except (ValueError, TypeError):
            faults = add_fault(faults, "", sentence(f"expected a string as key, got {shown(name)}"))
            continue
        if inner:
            faults = under(faults, step(name), inner)
            if full(faults):
                break
    return faults


def decode_list(value: object, message: Any, depth: int) -> Faults:
    """Read a JSON array into a ListValue."""
    if depth < 1:
        return too_deep()
    if type(value) is not list:
        return mismatch(None, "", value, "an array")
    faults: Faults = None
    append = message.values.add
    for index, element in enumerate(value):
        if inner := decode_value(element, append(), depth - 1):
            faults = under(faults, f"[{index}]", inner)
            if full(faults):
                break
    return faults


def encode_value(message: Any, depth: int) -> object:
    """Print a Value; one without a kind prints as null, as every implementation does."""
    if depth < 1:
        raise Unencodable(message, TOO_DEEP)
    match message.WhichOneof("kind"):
        case "string_value":
            return message.string_value
        case "number_value":
            number = message.number_value
            # "attempting to serialize NaN or Infinity results in error" - struct.proto
            if not math.isfinite(number):
                raise Unencodable(message, f"number {number} has no form inside a google.protobuf.Value")
            return number
        case "bool_value":
            return message.bool_value
        case "struct_value":
            return encode_struct(message.struct_value, depth - 1)
        case "list_value":
            return encode_list(message.list_value, depth - 1)
        case _:
            return None


def encode_struct(message: Any, depth: int) -> dict[str, object]:
    """Print a Struct."""
    if depth < 1:
        raise Unencodable(message, TOO_DEEP)
    return {name: encode_value(member, depth - 1) for name, member in message.fields.items()}


def encode_list(message: Any, depth: int) -> list[object]:
    """Print a ListValue."""
    if depth < 1:
        raise Unencodable(message, TOO_DEEP)
    return [encode_value(element, depth - 1) for element in message.values]
