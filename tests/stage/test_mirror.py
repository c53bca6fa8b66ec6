"""Mirroring: which requests are copied, with what, and how many at once; the call itself never notices."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Call, Direction, Side
from mesh.chain import compile_chain
from mesh.engine import hear, run
from mesh.order import ORDER
from mesh.policy.mirror import MirrorPolicy
from mesh.policy.observe import MetricsPolicy
from mesh.policy.policy import Policy
from mesh.stage import mirror
from mesh.stage.copier import ANSWERED, FAILED, Copy
from mesh.stage.scope import State

from .call import METHOD, Clock, scope


class Recorder:
    """A copier that keeps what it is given."""

    def __init__(self) -> None:
        self.copies: list[Copy] = []

    def send(self, copy: Copy) -> None:
        self.copies.append(copy)


class Bench:
    """Calls heard by a chain with a mirror."""

    def __init__(self, policy: MirrorPolicy, draws=lambda: 0.5, state=None) -> None:
        self.recorder = Recorder()
        self.clock = Clock()
        self.scope = scope(Policy(mirror=policy, metrics=MetricsPolicy()), self.clock, state=state)._replace(
            random=draws, copier=self.recorder
        )
        self.chain = compile_chain(self.scope)

    def call(self, message: object = b"request", **options) -> None:
        call = Call(METHOD, Arity.UNARY_UNARY, **options)
        call.outgoing.append(("traceparent", "00-1-2-01"))
        flow = run(self.chain, call, self.clock, lambda: 0.5)
        next(flow)
        assert hear(self.chain, call, message, Direction.SENT, 0.0) is None
        assert hear(self.chain, call, b"response", Direction.RECEIVED, 0.0) is None
        flow.close()

    def counted(self) -> dict[str, float]:
        return {
            dict(series.attributes)["mesh.result"]: series.value
            for series in self.scope.telemetry.snapshot()
            if series.instrument.name == "mesh.client.mirrored"
        }


def test_a_copy_has_the_request_its_metadata_and_a_time_of_its_own():
    bench = Bench(MirrorPolicy(target="next", timeout=2.0))

    bench.call(metadata=(("x-user", "alice"),), timeout=60.0)

    (copy,) = bench.recorder.copies
    assert ("next", METHOD, Arity.UNARY_UNARY, b"request", 2.0) == (*copy[:4], copy.timeout)
    assert (("x-user", "alice"), ("traceparent", "00-1-2-01"), ("mesh-mirrored", "1")) == copy.metadata


@pytest.mark.parametrize(("u", "copies"), [(0.09, 1), (0.1, 0)])
def test_a_share_of_the_calls_is_copied(u, copies):
    bench = Bench(MirrorPolicy(target="next", share=0.1), lambda: u)

    bench.call()

    assert copies == len(bench.recorder.copies)


def test_what_became_of_copies_is_counted():
    bench = Bench(MirrorPolicy(target="next"))
    for _ in range(3):
        bench.call()

    for copy, result in zip(bench.recorder.copies, (ANSWERED, FAILED, ANSWERED), strict=True):
        copy.ended(result)

    assert {"answered": 2, "failed": 1, "dropped": 0} == bench.counted()


def test_one_too_many_is_dropped_until_another_ends():
    bench = Bench(MirrorPolicy(target="next", max_in_flight=2))
    for _ in range(3):
        bench.call()

    assert 2 == len(bench.recorder.copies)
    assert 1 == bench.counted()["dropped"]

    bench.recorder.copies[0].ended(ANSWERED)
    bench.call()

    assert 3 == len(bench.recorder.copies)


def test_copies_in_flight_outlive_a_push_of_policies():
    state = State()
    policy = MirrorPolicy(target="next", max_in_flight=1)
    Bench(policy, state=state).call()
    after = Bench(policy, state=state)

    after.call()

    assert [] == after.recorder.copies


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"policy": Policy()}, "not configured"),
        ({"copier": None}, "only mesh.channel, mesh.sync.channel and the gateway send copies"),
        ({"arity": Arity.STREAM_UNARY}, "streams of requests are not copied"),
    ],
)
def test_why_nothing_is_copied(change, reason):
    changed = Bench(MirrorPolicy(target="next")).scope._replace(**change)

    assert mirror.build(changed) is None
    assert reason == mirror.absent(changed)


def test_servers_copy_nothing():
    (slot,) = (slot for slot in ORDER if slot.name == "mirror")

    assert Side.SERVER not in slot.sides


def test_it_says_what_it_does():
    made = scope(Policy(mirror=MirrorPolicy(target="next", share=0.1)), Clock())

    assert "copies 10% of requests to next, at most 100 in flight, 5s each" == mirror.describe(made)


def test_copies_show_how_many_are_in_flight():
    bench = Bench(MirrorPolicy(target="next"))
    bench.call()

    assert "<Copies 1 in flight>" == repr(bench.recorder.copies[0].ended.__self__)
