"""How access log lines spell times and texts."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from mesh.telemetry.line import Timestamps, quote


@pytest.mark.parametrize(
    ("wall", "expected"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1769862600.25, "2026-01-31T12:30:00.250Z"),
        (1769862600.9999, "2026-01-31T12:30:00.999Z"),
    ],
)
def test_a_time_is_rfc_3339(wall, expected):
    rendered = Timestamps().render(wall)

    assert expected == rendered
    assert int(wall * 1000) / 1000 == datetime.fromisoformat(rendered).timestamp()


def test_times_of_one_second_and_of_the_next():
    """The part that lines share is not kept too long, nor when the clock is set back."""
    timestamps = Timestamps()

    assert ["59.250Z", "59.750Z", "00.000Z", "59.000Z"] == [
        timestamps.render(wall)[-7:] for wall in (59.25, 59.75, 60.0, 59.0)
    ]


@pytest.mark.parametrize("text", ["plain", 'say "no"', "a\\b", "line\nbreak", "snow ☃", "\x00"])
def test_text_is_one_json_string_on_one_line(text):
    assert text == json.loads(quote(text))
    assert "\n" not in quote(text)
