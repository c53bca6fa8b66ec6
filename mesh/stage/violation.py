"""How broken `buf.validate` rules are told to a caller: INVALID_ARGUMENT with a google.rpc.BadRequest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from google.rpc import error_details_pb2

from mesh.call import Outcome
from mesh.stage.detail import detailed

MOST_BYTES: Final = 4096
"""What violations may take in the trailing metadata, which gRPC peers bound: by default to 8 KiB in all."""

# "This should be at most 63 characters and match a regular expression of `[A-Z][A-Z0-9_]+[A-Z0-9]`, which represents
# UPPER_SNAKE_CASE." - google.rpc.BadRequest.FieldViolation.reason
_REASON: Final = re.compile(r"[A-Z][A-Z0-9_]{1,61}[A-Z0-9]")
_SUBSCRIPTED: Final = {"index", "int_key", "uint_key"}


def refusal(violations: Sequence[Any], rejected_by: str) -> Outcome:
    """Return the outcome of a request that breaks rules, from protovalidate's violations."""
    found = [_field_violation(violation.proto) for violation in violations]
    first = found[0]
    details = f"{first.field}: {first.description}" if first.field else first.description
    if len(found) > 1:
        details += f" (and {len(found) - 1} more)"
    if len(details) > MOST_BYTES // 4:
        details = f"{details[: MOST_BYTES // 4]}..."
    broken = error_details_pb2.BadRequest(field_violations=_fitting(found))
    return Outcome(3, details, trailing=detailed(3, details, broken), rejected_by=rejected_by)


def _fitting(
    found: Iterable[error_details_pb2.BadRequest.FieldViolation],
) -> Iterable[error_details_pb2.BadRequest.FieldViolation]:
    """Return as many violations as there is room for."""
    left = MOST_BYTES
    for violation in found:
        left -= violation.ByteSize()
        if left < 0:
            return
        yield violation


def _field_violation(violation: Any) -> error_details_pb2.BadRequest.FieldViolation:
    reason = re.sub(r"[^A-Z0-9]", "_", violation.rule_id.upper())
    return error_details_pb2.BadRequest.FieldViolation(
        field=_path(violation.field.elements) if violation.field is not None else "",
        description=violation.message or f'"{violation.rule_id}" does not hold',
        reason=reason if _REASON.fullmatch(reason) else "",
    )


def _path(elements: Iterable[Any]) -> str:
    """Render `items[0].name` or `labels["env"]`: a path as FieldViolation.field's comment writes it."""
    path = ""
    for element in elements:
        path += f".{element.field_name}" if path else element.field_name
        subscript = element.subscript
        if subscript is not None:
            shown = subscript.value if subscript.field in _SUBSCRIPTED else json.dumps(subscript.value)
            path += f"[{shown}]"
    return path
