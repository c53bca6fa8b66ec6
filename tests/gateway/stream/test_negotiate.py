"""Which framing a stream has, by what the request accepts."""

from __future__ import annotations

import pytest

from gateway.render.framing import EVENTS, NDJSON
from gateway.render.negotiate import Acceptance, choose
from gateway.render.reply import JSON

ROWS = {
    b"": NDJSON,
    b"*/*": NDJSON,
    b"application/*": NDJSON,
    b"text/html,application/xhtml+xml,*/*;q=0.8": NDJSON,
    b"application/xml": NDJSON,
    b"application/x-ndjson": NDJSON,
    b"application/jsonl": NDJSON,
    b"application/json": JSON,
    b"Application/JSON; charset=utf-8": JSON,
    b"application/json, text/plain, */*": JSON,
    b"*/*, application/json": NDJSON,
    b"application/json;q=0.5, */*": NDJSON,
    b"application/json;q=0.5, application/x-ndjson;q=0.6": NDJSON,
    b"application/x-ndjson, application/json": NDJSON,
    b"application/json, application/x-ndjson": JSON,
    b"text/event-stream": EVENTS,
    b"text/*": EVENTS,
    b"text/event-stream;q=0, */*": NDJSON,
    b"application/x-ndjson;q=0, */*": JSON,
    b"application/x-ndjson;q=0, application/json;q=0, */*": EVENTS,
    b"application/x-ndjson;q=0": NDJSON,
    b"application/json;q=2": NDJSON,
    b"application/json;q=many": NDJSON,
    b"application/json;q=nan": NDJSON,
    b",;q=1,": NDJSON,
}


@pytest.mark.parametrize("accept", ROWS)
def test_framing(accept):
    assert choose(accept) == ROWS[accept]


def test_what_clients_choose_is_not_remembered_for_ever():
    known = Acceptance()
    for number in range(1000):
        assert known[b"application/json;v=%d" % number] == JSON
    assert len(known) == 256
