"""How Connect writes the end of a call: an Error as JSON, and the EndStreamResponse around it.

{"code": "not_found", "message": "no such product", "details": [{"type": "google.rpc.ResourceInfo", "value": "...",
"debug": {...}}]}
"""

from __future__ import annotations

import base64
from typing import Any, Final

import orjson

from gateway.protocol.ending import Ending
from mesh.call import CODE_NAMES

# Connect spells it as Go does.
_NAMES: Final = tuple({"CANCELLED": "canceled"}.get(name, name.lower()) for name in CODE_NAMES)
_UNKNOWN: Final = "unknown"


def encode(ending: Ending) -> bytes:
    """Return the Error of a call that failed."""
    return orjson.dumps(_error(ending))


def encode_end(ending: Ending) -> bytes:
    """Return the EndStreamResponse of a call: its error if it failed, and its trailers."""
    end: dict[str, Any] = {}
    if ending.code:
        end["error"] = _error(ending)
    if ending.trailers:
        metadata: dict[str, list[str]] = {}
        for name, value in ending.trailers:
            metadata.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        end["metadata"] = metadata
    return orjson.dumps(end)


def _error(ending: Ending) -> dict[str, Any]:
    # "Only the codes below are valid - there are no user-defined codes."
    name = _NAMES[ending.code] if 0 < ending.code < len(_NAMES) else _UNKNOWN
    error: dict[str, Any] = {"code": name}
    if ending.message:
        error["message"] = ending.message
    if ending.details:
        error["details"] = [
            _detail(detail, ending.debug[index] if index < len(ending.debug) else None)
            for index, detail in enumerate(ending.details)
        ]
    return error


def _detail(detail: Any, shown: dict[str, Any] | None) -> dict[str, Any]:
    # ""type" [...] contains the fully-qualified Protobuf message name [...], and "value" [...] contains unpadded,
    # base64-encoded binary Protobuf data"
    value = base64.b64encode(detail.value).rstrip(b"=").decode()
    told: dict[str, Any] = {"type": detail.type_url.rpartition("/")[2], "value": value}
    if shown is not None:
        debug = {key: inner for key, inner in shown.items() if key != "@type"}
        # A type nobody knows is shown as its bytes, which are there already.
        if set(debug) != {"value"} or debug["value"] != base64.b64encode(detail.value).decode():
            told["debug"] = debug
    return told
