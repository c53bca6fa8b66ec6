"""One line of JSON for each call, whatever its ending."""

from __future__ import annotations

import io
import json

import pytest

from mesh.call import Outcome, Side
from mesh.policy.observe import AccessLogPolicy
from mesh.policy.policy import Policy
from mesh.stage import access_log
from mesh.telemetry.sink import LineSink
from mesh.telemetry.telemetry import Telemetry
from mesh.telemetry.traceparent import TraceContext
from tests.telemetry.drive import ENDINGS, call, end, scope

HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Log:
    """An access log and what is in it."""

    def __init__(
        self, policy: AccessLogPolicy | None = None, side: Side = Side.CLIENT, method: str = "/a.B/C"
    ) -> None:
        self.stream = io.StringIO()
        self.telemetry = Telemetry(log=LineSink(self.stream, interval=60.0), wall=lambda: 1_700_000_000.25)
        stage = access_log.build(
            scope(Policy(access_log=policy or AccessLogPolicy()), self.telemetry, side, method)
        )
        assert stage is not None
        self.stage = stage

    def lines(self) -> list[dict]:
        self.telemetry.log.flush()
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_writes_one_line(ending):
    log = Log()

    end(ending, [log.stage])

    assert [line["code"] for line in log.lines()] == [ENDINGS[ending][1]]


def test_a_line_says_what_happened_to_whom_and_when():
    log = Log(side=Side.SERVER)
    one = call(peer=lambda: "ipv4:127.0.0.1:5000")
    one.scratch = TraceContext(HEADER)

    end("error", [log.stage], one=one)

    assert log.lines() == [
        {
            "time": "2023-11-14T22:13:20.250Z",
            "side": "server",
            "method": "a.B/C",
            "target": "catalog",
            "code": "NOT_FOUND",
            "seconds": 0.25,
            "attempts": 1,
            "peer": "ipv4:127.0.0.1:5000",
            "details": "no such product",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        }
    ]


def test_what_says_nothing_is_left_out():
    log = Log()

    end("ok", [log.stage])

    assert set(log.lines()[0]) == {"time", "side", "method", "target", "code", "seconds", "attempts"}


def test_a_refusal_names_the_stage():
    log = Log()

    end("rejected per attempt", [log.stage])

    assert log.lines()[0]["rejected_by"] == "refuse"
    assert log.lines()[0]["details"] == "too many"


@pytest.mark.parametrize(
    "text", ['quote " and \\ backslash', "line\nbreak", "tab\t and \x00", "ünïcode ✓ \ud800"]
)
def test_no_text_breaks_the_line(text):
    log = Log(method=f"/a.B/{text}")

    end("error", [log.stage], script=[Outcome(5, text)], one=call(peer=lambda: text))

    (line,) = log.lines()
    assert (text, text, f"a.B/{text}") == (line["details"], line["peer"], line["method"])


def test_where_only_failures_are_wanted_success_is_silent():
    log = Log(AccessLogPolicy(failures_only=True))

    end("ok", [log.stage])
    end("error", [log.stage])

    assert [line["code"] for line in log.lines()] == ["NOT_FOUND"]


def test_no_stage_where_the_log_is_off():
    assert access_log.build(scope(Policy(), Telemetry())) is None
