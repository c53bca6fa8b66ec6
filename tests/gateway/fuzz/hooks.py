"""What schemathesis is told of the formats of ProtoJSON: it knows those of JSON Schema only."""

from __future__ import annotations

from datetime import UTC

import schemathesis
from hypothesis import strategies as st


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
