"""Every sequence of events keeps the store's promises: one flight for each key, nothing too old, nothing over the limit."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.cache import OVERHEAD, Cache, Entry, Found
from gateway.edge.freshness import ANYTHING, Asked

PATH = b"/v1/books/one"
LIFETIME, GRACE = 2.0, 2.0


def entry(
    made: float = 0.0,
    *,
    size: int = 100,
    path: bytes = PATH,
    lifetime: float = LIFETIME,
    grace: float = GRACE,
):
    return Entry(
        content_type=b"application/json",
        body=bytes(size),
        path=path,
        made=made,
        lifetime=lifetime,
        grace=grace,
    )


def stored(cache: Cache, key: str = "one", **fields):
    flight = cache.find(key, fields.get("path", PATH), Asked(no_cache=True), fields.get("made", 0.0)).flight
    answer = entry(**fields)
    cache.land(flight, answer)
    return answer


@pytest.mark.parametrize(
    ("rule", "now", "asked", "found"),
    [
        ("fresh", 1.0, ANYTHING, Found.HIT),
        ("its age is its lifetime: stale", 2.0, ANYTHING, Found.STALE),
        ("within its grace", 3.9, ANYTHING, Found.STALE),
        ("beyond it", 4.0, ANYTHING, Found.LEAD),
        ("no-cache", 1.0, Asked(no_cache=True), Found.LEAD),
        ("max-age=0", 0.0, Asked(max_age=0.0), Found.LEAD),
        ("young enough", 1.0, Asked(max_age=1.0), Found.HIT),
        ("too old for the client", 1.1, Asked(max_age=1.0), Found.LEAD),
        ("5.2.1.1: who names an age wants nothing stale", 3.0, Asked(max_age=9.0), Found.LEAD),
        ("fresh for long enough", 1.0, Asked(min_fresh=1.0), Found.HIT),
        ("not fresh for long enough", 1.1, Asked(min_fresh=1.0), Found.LEAD),
        (
            "no-store asks that nothing be kept, not that nothing be used",
            1.0,
            Asked(no_store=True),
            Found.HIT,
        ),
        ("no-store, and nothing to use", 4.0, Asked(no_store=True), Found.ALONE),
        ("only-if-cached", 1.0, Asked(only_if_cached=True), Found.HIT),
        ("only-if-cached, and nothing there", 4.0, Asked(only_if_cached=True), Found.ABSENT),
        (
            "only-if-cached comes before no-store",
            4.0,
            Asked(no_store=True, only_if_cached=True),
            Found.ABSENT,
        ),
    ],
)
def test_what_a_request_may_have(rule, now, asked, found):
    cache = Cache(limit=10_000)
    stored(cache)
    assert found is cache.find("one", PATH, asked, now).found, rule


def test_all_who_come_meanwhile_wait_for_one_flight():
    cache = Cache(limit=10_000)
    first = cache.find("one", PATH, ANYTHING, 0.0)
    second = cache.find("one", PATH, ANYTHING, 1.0)
    assert (first.found, second.found) == (Found.LEAD, Found.WAIT)
    assert first.flight is second.flight
    assert cache.find("two", PATH, ANYTHING, 1.0).found is Found.LEAD


def test_who_wants_an_answer_from_now_on_does_not_wait_for_an_earlier_one():
    cache = Cache(limit=10_000)
    first = cache.find("one", PATH, ANYTHING, 0.0)
    again = cache.find("one", PATH, Asked(no_cache=True), 1.0)
    assert again.found is Found.LEAD
    assert again.flight is not first.flight
    assert cache.find("one", PATH, Asked(max_age=3.0), 2.0).flight is again.flight
    cache.land(again.flight, entry(1.0, size=1))
    cache.land(first.flight, entry(0.0, size=2))
    assert cache.find("one", PATH, ANYTHING, 2.0).entry.body == bytes(1), (
        "the older answer came later, and lost"
    )


def test_a_flight_goes_on_until_the_last_one_has_left():
    cache = Cache(limit=10_000)
    flight = cache.find("one", PATH, ANYTHING, 0.0).flight
    flight.waiting = 2
    assert not cache.leave(flight)
    assert cache.find("one", PATH, ANYTHING, 0.0).flight is flight
    assert cache.leave(flight)
    assert cache.find("one", PATH, ANYTHING, 0.0).found is Found.LEAD, (
        "nobody may wait for what is called off"
    )


def test_one_request_refreshes_what_is_stale_and_it_is_not_called_off():
    cache = Cache(limit=10_000)
    stored(cache)
    first, second = (cache.find("one", PATH, ANYTHING, 3.0) for _ in range(2))
    assert (first.found, second.found) == (Found.STALE, Found.STALE)
    assert first.flight is not None
    assert second.flight is None
    late = cache.find("one", PATH, ANYTHING, 5.0)
    assert (late.found, late.flight) == (Found.WAIT, first.flight)
    late.flight.waiting += 1
    assert not cache.leave(late.flight)


def test_a_failed_refresh_leaves_the_stale_answer_in_place():
    cache = Cache(limit=10_000)
    stored(cache)
    cache.land(cache.find("one", PATH, ANYTHING, 3.0).flight, None)
    again = cache.find("one", PATH, ANYTHING, 3.5)
    assert again.found is Found.STALE
    assert again.flight is not None


def test_a_change_makes_answers_and_flights_of_its_path_worthless():
    cache = Cache(limit=10_000)
    stored(cache, "one")
    stored(cache, "one, in german")
    stored(cache, "two", path=b"/v1/books/two")
    flight = cache.find("one, in french", PATH, ANYTHING, 0.0).flight
    cache.invalidate(PATH)
    assert len(cache) == 1
    assert cache.find("one, in french", PATH, ANYTHING, 0.0).found is Found.LEAD
    assert not cache.land(flight, entry())
    assert cache.find("two", b"/v1/books/two", ANYTHING, 0.0).found is Found.HIT


def test_the_least_recently_used_goes_first():
    cache = Cache(limit=3 * (OVERHEAD + 103))
    for key in ("one", "two", "six"):
        stored(cache, key)
    cache.find("one", PATH, ANYTHING, 1.0)
    stored(cache, "ten")
    kept = [
        key for key in ("one", "two", "six", "ten") if cache.find(key, PATH, ANYTHING, 1.0).found is Found.HIT
    ]
    assert kept == ["one", "six", "ten"]
    assert cache.evictions == 1


def test_what_can_never_fit_and_what_is_never_fresh_is_not_stored():
    cache = Cache(limit=OVERHEAD + 100)
    flight = cache.find("one", PATH, ANYTHING, 0.0).flight
    assert not cache.land(flight, entry(size=98))
    flight = cache.find("one", PATH, ANYTHING, 0.0).flight
    assert not cache.land(flight, entry(size=1, lifetime=0.0, grace=0.0))
    assert (len(cache), cache.size, cache.evictions) == (0, 0, 0)


def test_a_compressed_form_counts():
    cache = Cache(limit=2 * (OVERHEAD + 103) + 50)
    stored(cache, "one")
    grown = stored(cache, "two")
    grown.variants["gzip"] = bytes(60)
    cache.reweigh("two", grown)
    assert (len(cache), cache.size) == (1, OVERHEAD + 163)
    grown.variants["br"] = bytes(5)
    cache.reweigh("one", grown)
    assert cache.size == OVERHEAD + 163, "what is no longer stored is not counted"


class World:
    """A store, and a simple account of what it may do."""

    def __init__(self) -> None:
        self.cache = Cache(limit=10_000)
        self.now = 0.0
        self.flights = []
        self.changed = -1.0

    def step(self, event: str) -> None:
        if event == "tick":
            self.now += 1.0
        elif event == "change":
            self.cache.invalidate(PATH)
            self.changed = self.now
        elif event in {"land", "fail", "leave"}:
            if self.flights:
                flight = self.flights.pop(0)
                if event == "leave":
                    assert self.cache.leave(flight) == (flight.waiting == 0 and not flight.refreshes)
                    if flight.waiting or flight.refreshes:
                        self.flights.insert(0, flight)
                        return
                kept = self.cache.land(flight, entry(flight.began) if event == "land" else None)
                assert not (kept and event != "land")
        else:
            self.find(Asked(no_cache=event == "reload"))
        self.check()

    def find(self, asked: Asked) -> None:
        under_way = [flight for flight in self.flights if not flight.void]
        found, kept, flight = self.cache.find("one", PATH, asked, self.now)
        if kept is not None:
            assert not asked.no_cache
            age = self.now - kept.made
            assert found is (Found.HIT if age < LIFETIME else Found.STALE)
            assert age < LIFETIME + GRACE
            assert kept.made >= self.changed
        if found is Found.LEAD:
            assert asked.no_cache or not under_way, "two flights for one key"
        elif found is Found.WAIT:
            assert flight in under_way
        if flight is not None:
            if found is not Found.STALE:
                flight.waiting += 1
            if flight not in self.flights:
                self.flights.append(flight)

    def check(self) -> None:
        cache = self.cache
        assert cache.size == sum(one.size for one in cache._entries.values()) <= 10_000
        assert {key for keys in cache._paths.values() for key in keys} == set(cache._entries)
        assert set(cache._flights.values()) <= set(self.flights)
        assert {flight for flights in cache._voidable.values() for flight in flights} == set(self.flights)


def test_every_sequence_of_six_events():
    events = ("ask", "reload", "land", "fail", "leave", "change", "tick")
    for sequence in itertools.product(events, repeat=6):
        world = World()
        for event in sequence:
            world.step(event)


@given(
    st.lists(
        st.sampled_from(["ask", "ask", "reload", "land", "fail", "leave", "change", "tick"]), max_size=60
    )
)
def test_long_sequences(sequence):
    world = World()
    for event in sequence:
        world.step(event)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3000))), st.integers(0, 12_000))
def test_the_limit_holds(answers, limit):
    cache = Cache(limit=limit)
    for key, size in answers:
        stored(cache, key, size=size)
        assert cache.size <= limit
        assert cache.size == sum(one.weigh(1) for one in cache._entries.values())
