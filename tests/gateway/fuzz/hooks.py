"""What schemathesis is told of ProtoJSON and NDJSON: it knows the formats of JSON Schema only, and no lines."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any
from urllib.parse import quote

import jsonschema
import referencing
import referencing.jsonschema
import schemathesis
from hypothesis import strategies as st

LINES = "application/x-ndjson"


def _integers(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(str)


for width in (32, 64):
    schemathesis.openapi.format(f"int{width}", _integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1))
    schemathesis.openapi.format(f"uint{width}", _integers(0, 2**width - 1))

schemathesis.openapi.format(
    "google-duration",
    st.builds(
        "{}{}s".format,
        st.integers(-315_576_000_000 + 1, 315_576_000_000 - 1),
        st.sampled_from(["", ".5", ".000000001"]),
    ),
)
# A mask of a PATCH names what there is.
schemathesis.openapi.format(
    "google-fieldmask",
    st.lists(st.sampled_from(["id", "inner.flag", "colour", "i32", "u32"]), max_size=3, unique=True).map(
        ",".join
    ),
)
# With other offsets, times of the first and the last day of all leave those years.
schemathesis.openapi.format(
    "date-time", st.datetimes(timezones=st.just(UTC)).map(lambda time: time.isoformat())
)


@schemathesis.serializer(LINES)
def write_lines(_: Any, value: Any) -> bytes:
    """Send the message twice."""
    return (json.dumps(value) + "\n").encode() * 2


@schemathesis.check
def every_line_fits_its_schema(_: Any, response: Any, case: Any) -> None:
    if not any(value.startswith(LINES) for value in response.headers.get("content-type", ())):
        return
    resource = referencing.Resource.from_contents(
        case.operation.schema.raw_schema, referencing.jsonschema.DRAFT202012
    )
    registry = referencing.Registry().with_resource("urn:document", resource)
    steps = [
        "paths",
        case.operation.path,
        case.operation.method.lower(),
        "responses",
        "200",
        "content",
        LINES,
    ]
    pointer = "/".join(quote(step.replace("~", "~0").replace("/", "~1"), safe="~") for step in steps)
    validator = jsonschema.Draft202012Validator(
        {"$ref": f"urn:document#/{pointer}/schema"}, registry=registry
    )
    for line in response.content.splitlines():
        wrong = next(validator.iter_errors(json.loads(line)), None)
        assert wrong is None, wrong
