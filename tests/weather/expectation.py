"""What must hold in any weather: how errors look, that others are unaffected, that the gateway ends well."""

from __future__ import annotations

import asyncio
import signal
import statistics
from collections.abc import Sequence
from typing import Any

from tests.weather.load import Answer, Load

# The policies of conftest.
DEADLINE = 0.5
BUDGET_RATIO, BUDGET_FLOOR, BUDGET_WINDOW = 0.2, 1.0, 2.0

# Two cores may be shared with anything: what must be quick is judged by its median, what must end by this.
LATE = 2.0
QUICK = 0.25


def median(answers: Sequence[Answer]) -> float:
    return statistics.median(answer.seconds for answer in answers)


def omitted(answer: Answer) -> list[tuple[str, str]]:
    return [(step["step"], step["status"]) for step in answer.body.get("omitted", ())]


def is_well(answers: Sequence[Answer]) -> bool:
    """Tell whether all is as if nothing had been, but for a stall of the machine."""
    good = [answer for answer in answers if answer.status == 200 and not omitted(answer)]
    return len(good) > 0.9 * len(answers)


def check_errors(answers: Sequence[Answer]) -> None:
    """Whatever happens behind it, a client gets a google.rpc.Status, and nothing about the inside."""
    codes = {503: 14, 504: 4}
    for answer in answers:
        assert "Traceback" not in answer.text
        assert "ipv4:" not in answer.text, "addresses are the inside's business"
        if answer.status != 200:
            assert set(answer.body) == {"code", "message", "details"}
            assert codes[answer.status] == answer.body["code"], answer


def check_unaffected(load: Load, began: float, healthy: float) -> None:
    """The other backend's requests succeed and take as long as ever."""
    calm = load.since(began, "/v1/sky")
    assert {200} == {answer.status for answer in calm}
    assert median(calm) < 3 * healthy + QUICK
    assert max(answer.seconds for answer in calm) < LATE


async def stops_cleanly(sky: Any) -> None:
    sky.gateway.signal(signal.SIGTERM)
    assert await asyncio.to_thread(sky.gateway.end) == 0
    assert not any("Traceback" in line or "rror" in line for line in sky.gateway.lines), sky.gateway.lines
    assert {200, 503, 504} >= {entry["status"] for entry in sky.gateway.log}
