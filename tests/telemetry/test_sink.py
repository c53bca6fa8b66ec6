"""Lines are written soon, in order, once, and never by the call that leaves them."""

from __future__ import annotations

import io
import threading

from mesh.telemetry import sink
from mesh.telemetry.sink import LineSink

LONG = 60.0
SOON = 5.0


class Stream(io.StringIO):
    """A stream that says when it was flushed, and by which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed = threading.Event()
        self.threads: set[str] = set()

    def flush(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.flushed.set()


def test_a_line_is_written_when_its_time_has_come():
    stream = Stream()

    LineSink(stream, interval=0.001).write("one")

    assert stream.flushed.wait(SOON)
    assert stream.getvalue() == "one\n"
    assert stream.threads == {"mesh-access-log"}


def test_a_full_batch_does_not_wait():
    stream = Stream()
    log = LineSink(stream, interval=LONG, batch=10)

    log.write("12345")
    assert not stream.flushed.is_set()
    log.write("67890")

    assert stream.flushed.wait(SOON)
    assert stream.getvalue() == "12345\n67890\n"


def test_a_flush_writes_what_there_is_once():
    stream = Stream()
    log = LineSink(stream, interval=LONG)
    log.write("one")
    log.write("two")

    log.flush()
    log.flush()

    assert stream.getvalue() == "one\ntwo\n"


def test_a_stream_that_blocks_costs_lines_and_not_memory(monkeypatch):
    monkeypatch.setattr(sink, "MOST", 10)
    log = LineSink(Stream(), interval=LONG)

    for _ in range(5):
        log.write("12345678")

    assert log.dropped == 3


def test_a_stream_that_is_gone_is_not_the_calls_problem():
    stream = Stream()
    log = LineSink(stream, interval=LONG)
    log.write("one")
    stream.close()

    log.flush()

    assert log.dropped == 1


def test_lines_of_many_threads_are_all_written_once():
    stream = Stream()
    log = LineSink(stream, interval=0.0005, batch=64)
    threads = [
        threading.Thread(target=lambda n=n: [log.write(f"{n}-{i}") for i in range(200)]) for n in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.flush()

    assert sorted(stream.getvalue().split()) == sorted(f"{n}-{i}" for n in range(4) for i in range(200))
