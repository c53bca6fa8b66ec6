"""Alarms ring in the order of their times, in one thread, which ends when it has nothing to wait for."""

from __future__ import annotations

import gc
import queue
import threading

import pytest

from mesh.binding import alarm
from mesh.binding.alarm import Alarm, Alarms

from .test_threads import until


@pytest.fixture
def alarms(monkeypatch: pytest.MonkeyPatch) -> Alarms:
    monkeypatch.setattr(alarm, "_LINGER", 0.01)
    return Alarms()


def test_they_ring_in_the_order_of_their_times(alarms):
    rung: queue.SimpleQueue[str] = queue.SimpleQueue()
    for seconds, name in ((0.06, "later"), (0.02, "soon"), (0.0, "now")):
        alarms.set(seconds, lambda name=name: rung.put(name))

    assert ["now", "soon", "later"] == [rung.get(timeout=10) for _ in range(3)]


def test_one_that_is_cancelled_is_silent(alarms):
    rung: queue.SimpleQueue[str] = queue.SimpleQueue()
    alarms.set(0.02, lambda: rung.put("cancelled")).cancel()
    alarms.set(0.04, lambda: rung.put("set"))

    assert "set" == rung.get(timeout=10)
    assert rung.empty()


def test_one_that_fails_does_not_silence_the_others(alarms, caplog):
    rung: queue.SimpleQueue[str] = queue.SimpleQueue()
    alarms.set(0.0, lambda: 1 / 0)
    alarms.set(0.0, lambda: rung.put("set"))

    assert "set" == rung.get(timeout=10)
    assert "what was to be called later failed" in caplog.text


def test_the_thread_ends_and_comes_back(alarms):
    rung: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()
    for _ in range(3):
        alarms.set(0.0, lambda: rung.put(threading.current_thread()))
        thread = rung.get(timeout=10)
        assert "mesh-alarms" == thread.name
        until(lambda thread=thread: not thread.is_alive())

    assert "<Alarms at rest>" == repr(alarms)


def test_it_does_not_wait_for_what_was_cancelled(alarms):
    alarms.set(3600.0, threading.active_count).cancel()

    until(lambda: repr(alarms) == "<Alarms at rest>")


def test_those_that_were_cancelled_are_not_kept(alarms):
    """An hour of streams that end in time must not be remembered for an hour."""
    for _ in range(2000):
        alarms.set(3600.0, threading.active_count).cancel()
    kept = alarms.set(3600.0, threading.active_count)

    until(lambda: sum(type(known) is Alarm for known in gc.get_objects()) < 500)
    kept.cancel()
