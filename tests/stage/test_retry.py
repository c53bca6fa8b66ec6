"""Which failed attempts are tried again: codes, idempotency, the server's wish, the deadline, the budget."""

from __future__ import annotations

import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from mesh.call import Arity, Call, Outcome
from mesh.policy.deadline import DeadlinePolicy
from mesh.policy.hedge import HedgePolicy
from mesh.policy.policy import Policy
from mesh.policy.retry import BackoffPolicy, BudgetPolicy, Jitter, RetryPolicy
from mesh.stage import deadline, retry
from mesh.stage.scope import State
from tests.stage.call import METHOD, Clock, Driver, scope

NONE = BackoffPolicy(base=0.1, max=10.0, jitter=Jitter.NONE)


def build(clock: Clock, *, idempotent=True, state=None, method=METHOD, target="shop", **policy):
    made = Policy(retry=RetryPolicy(**{"backoff": NONE, **policy}), idempotent=idempotent)
    return retry.build(scope(made, clock, state=state, method=method, target=target))


def driver(clock: Clock | None = None, **policy) -> Driver:
    clock = clock or Clock()
    return Driver(clock, retry=build(clock, **policy))


def failing(*codes: int, trailing=()):
    """Answers with these codes in turn, then OK."""
    return lambda number: Outcome(codes[number - 1] if number <= len(codes) else 0, trailing=trailing)


def details(*messages) -> bytes:
    status = status_pb2.Status(code=14)
    for message in messages:
        packed = any_pb2.Any()
        packed.Pack(message)
        status.details.append(packed)
    return status.SerializeToString()


def retry_info(seconds: float) -> bytes:
    wait = duration_pb2.Duration()
    wait.FromNanoseconds(int(seconds * 1e9))
    return details(error_details_pb2.ErrorInfo(reason="busy"), error_details_pb2.RetryInfo(retry_delay=wait))


@pytest.mark.parametrize("code", range(1, 17))
def test_only_the_policys_codes_are_tried_again(code):
    made = driver(codes=frozenset({14, 10}))

    outcome = made.call(failing(code))

    assert (0 if code in {10, 14} else code) == outcome.code
    assert (2 if code in {10, 14} else 1) == len(made.attempts)


def test_attempts_are_counted_the_first_included():
    made = driver(max_attempts=3)

    assert 14 == made.call(failing(*[14] * 9)).code
    assert [1, 2, 3] == [attempt.number for attempt in made.attempts]


def test_waits_grow():
    made = driver(max_attempts=5)

    made.call(failing(*[14] * 9))

    assert [0.1, 0.2, 0.4, 0.8] == made.waits


def test_full_jitter_takes_any_part_of_the_wait():
    made = driver(backoff=BackoffPolicy(base=0.1, max=10.0))

    made.call(failing(14))

    assert [0.05] == made.waits


KEYED = (("x", "y"), ("idempotency-key", "order-17"))


@pytest.mark.parametrize(("idempotent", "every", "retried"), [(1, 0, 1), (0, 0, 0), (0, 1, 1), (1, 1, 1)])
@pytest.mark.parametrize("metadata", [(), (("x", "y"),)])
def test_who_may_be_repeated(idempotent, every, retried, metadata):
    """The proto says so, or the operator vouches for every method."""
    made = driver(idempotent=bool(idempotent), every_method=bool(every))

    made.call(failing(14), Call(METHOD, Arity.UNARY_UNARY, metadata=metadata))

    assert 1 + retried == len(made.attempts)


@pytest.mark.parametrize(("allowed", "attempts"), [(True, 2), (False, 1)])
def test_a_request_with_an_idempotency_key_may_be_repeated(allowed, attempts):
    made = driver(idempotent=False, idempotency_key=allowed)

    made.call(failing(14), Call(METHOD, Arity.UNARY_UNARY, metadata=KEYED))

    assert attempts == len(made.attempts)


def test_requests_with_a_key_earn_what_their_retries_spend():
    """Others of such a method earn nothing: they cannot be retried, so they must not pay for those that can."""
    terms = BudgetPolicy(ratio=0.5, min_per_second=0.0)
    made = driver(idempotent=False, budget=terms)
    for _ in range(10):
        made.call(failing())
    assert 14 == made.call(failing(14), Call(METHOD, Arity.UNARY_UNARY, metadata=KEYED)).code

    made.call(failing(), Call(METHOD, Arity.UNARY_UNARY, metadata=KEYED))

    assert 0 == made.call(failing(14), Call(METHOD, Arity.UNARY_UNARY, metadata=KEYED)).code


def test_a_policy_that_is_off_builds_nothing():
    assert retry.build(scope(Policy(idempotent=True), Clock())) is None


def test_a_one_shot_stream_of_requests_is_not_repeated():
    made = driver()

    assert 14 == made.call(failing(14), Call(METHOD, Arity.STREAM_UNARY, replayable=False)).code


def test_a_rejection_of_our_own_is_not_repeated():
    """An open circuit or a full limit would only reject again, and the budget is for the wire."""
    made = driver()

    assert 14 == made.call(lambda _: Outcome(14, rejected_by="circuit_breaker")).code
    assert 1 == len(made.attempts)


def test_decorrelated_waits_go_by_the_wait_before():
    backoff = BackoffPolicy(base=0.1, max=10.0, jitter=Jitter.DECORRELATED)
    made = driver(max_attempts=4, backoff=backoff)

    made.call(failing(14, 14, 14))

    assert pytest.approx([0.2, 0.35, 0.575]) == made.waits  # half-way between 0.1 and 3 * the wait before


def test_an_attempt_that_ran_out_of_its_own_time_is_tried_again():
    made = driver(attempt_timeout=0.3)

    assert 0 == made.call(failing(4), Call(METHOD, Arity.UNARY_UNARY, timeout=5.0), seconds=0.3).code
    assert [0.3, 0.3] == [attempt.timeout for attempt in made.attempts]


def test_no_attempt_gets_more_time_than_is_left():
    made = driver(attempt_timeout=0.3, backoff=BackoffPolicy(base=0.1, jitter=Jitter.NONE))

    assert 4 == made.call(failing(4, 4, 4), Call(METHOD, Arity.UNARY_UNARY, timeout=0.5), seconds=0.3).code
    assert [0.3, pytest.approx(0.1)] == [attempt.timeout for attempt in made.attempts]


def test_without_a_time_of_its_own_an_attempt_that_ran_out_of_time_stands():
    made = driver()

    assert 4 == made.call(failing(4), Call(METHOD, Arity.UNARY_UNARY, timeout=5.0)).code


@pytest.mark.parametrize(
    ("idempotent", "replayable"), [(False, True), (True, False)], ids=["not idempotent", "one-shot"]
)
def test_what_cannot_be_tried_again_is_not_cut_short(idempotent, replayable):
    made = driver(attempt_timeout=0.3, idempotent=idempotent)

    made.call(failing(), Call(METHOD, Arity.STREAM_UNARY, replayable=replayable))

    assert [None] == [attempt.timeout for attempt in made.attempts]


def test_a_stream_of_responses_is_not_cut_short():
    made = Policy(retry=RetryPolicy(attempt_timeout=0.3), idempotent=True)

    found = retry.build(scope(made, Clock(), arity=Arity.UNARY_STREAM))

    assert found is not None
    assert found.attempt_timeout is None


def test_no_wait_leaves_less_than_an_attempt_needs():
    """100 ms of wait, 250 ms left: fine for an attempt of 100 ms, not for one of 150."""
    for least, attempts in ((0.1, 2), (0.15, 1)):
        clock = Clock()
        policy = Policy(deadline=DeadlinePolicy(min_attempt_time=least))
        stage = deadline.build(scope(policy, clock))
        made = Driver(clock, per_call=(stage,), retry=build(clock))

        made.call(failing(14), Call(METHOD, Arity.UNARY_UNARY, timeout=0.25))

        assert attempts == len(made.attempts)


def test_where_calls_are_hedged_there_is_no_retry():
    made = Policy(retry=RetryPolicy(), hedge=HedgePolicy(), idempotent=True)

    assert retry.build(scope(made, Clock())) is None


def test_where_hedging_covers_no_call_there_are_retries():
    made = Policy(retry=RetryPolicy(every_method=True), hedge=HedgePolicy(idempotency_key=False))

    assert retry.build(scope(made, Clock())) is not None


def test_no_attempt_starts_at_or_after_the_deadline():
    made = driver()

    assert 14 == made.call(failing(14), Call(METHOD, Arity.UNARY_UNARY, timeout=0.1)).code
    assert [] == made.waits


# What the server wishes


@pytest.mark.parametrize(
    ("trailing", "waits"),
    [
        ((("grpc-retry-pushback-ms", "1500"),), [1.5]),
        ((("grpc-retry-pushback-ms", "0"),), [0.0]),
        ((("grpc-status-details-bin", retry_info(1.5)),), [1.5]),
        ((("grpc-status-details-bin", retry_info(0.0)),), [0.0]),
        ((("grpc-status-details-bin", retry_info(9.0)), ("grpc-retry-pushback-ms", "250")), [0.25]),
        ((("grpc-retry-pushback-ms", "250"), ("grpc-status-details-bin", retry_info(9.0))), [0.25]),
        ((("other", "x"),), [0.1]),
        ((("grpc-status-details-bin", details(error_details_pb2.ErrorInfo(reason="busy"))),), [0.1]),
    ],
)
def test_the_servers_delay_replaces_the_backoff(trailing, waits):
    made = driver()

    assert 0 == made.call(failing(14, trailing=trailing)).code
    assert waits == made.waits


@pytest.mark.parametrize(
    "trailing",
    [
        (("grpc-retry-pushback-ms", "-1"),),
        (("grpc-retry-pushback-ms", "-2147483648"),),
        (("grpc-retry-pushback-ms", "soon"),),
        (("grpc-retry-pushback-ms", ""),),
        (("grpc-retry-pushback-ms", "1.5"),),
        (("grpc-retry-pushback-ms", "99999999999999999999"),),
        (("grpc-status-details-bin", retry_info(-1.0)),),
    ],
    ids=str,
)
def test_a_server_that_asks_not_to_be_retried_is_not(trailing):
    made = driver()

    assert 14 == made.call(failing(14, trailing=trailing)).code
    assert 1 == len(made.attempts)


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"", b"\x1a\x7f", "text", details()[:-1] + b"\x1a"])
def test_garbage_in_the_trailers_is_no_wish(garbage):
    made = driver()

    assert 0 == made.call(failing(14, trailing=(("grpc-status-details-bin", garbage),))).code
    assert [0.1] == made.waits


def test_garbage_inside_a_retry_info_is_no_wish():
    status = status_pb2.Status()
    packed = status.details.add()
    packed.type_url, packed.value = "type.googleapis.com/google.rpc.RetryInfo", b"\xff\xff"
    made = driver()

    assert (
        0 == made.call(failing(14, trailing=(("grpc-status-details-bin", status.SerializeToString()),))).code
    )


def test_a_status_that_is_not_retryable_stays_so_whatever_the_server_says():
    made = driver()

    assert 3 == made.call(failing(3, trailing=(("grpc-retry-pushback-ms", "10"),))).code


def test_a_pushback_starts_the_backoff_anew():
    """gRFC A6: "If this attempt also fails, retry delay will reset to initial backoff for the following retry"."""
    made = driver(max_attempts=5)
    pushed = (("grpc-retry-pushback-ms", "2000"),)

    made.call(lambda number: Outcome(14, trailing=pushed if number == 2 else ()))

    assert [0.1, 2.0, 0.1, 0.2] == made.waits


def test_a_delay_beyond_the_deadline_ends_the_call():
    made = driver()
    late = (("grpc-retry-pushback-ms", "5000"),)

    assert 14 == made.call(failing(14, trailing=late), Call(METHOD, Arity.UNARY_UNARY, timeout=5.0)).code
    assert [] == made.waits


# The budget


def test_the_budget_is_one_for_all_methods_of_a_target():
    clock, state = Clock(), State()
    budget = BudgetPolicy(ratio=0.0, min_per_second=0.1, window=10.0)  # one retry
    one = Driver(clock, retry=build(clock, state=state, budget=budget))
    other = Driver(clock, retry=build(clock, state=state, budget=budget, method="/shop.v1.Shop/List"))

    assert 0 == one.call(failing(14)).code
    assert 14 == other.call(failing(14)).code


def test_targets_have_budgets_of_their_own():
    clock, state = Clock(), State()
    budget = BudgetPolicy(ratio=0.0, min_per_second=0.1, window=10.0)
    one = Driver(clock, retry=build(clock, state=state, budget=budget))
    other = Driver(clock, retry=build(clock, state=state, budget=budget, target="other"))

    assert 0 == one.call(failing(14)).code
    assert 0 == other.call(failing(14)).code


@pytest.mark.parametrize("rate", [1, 10, 200])
def test_an_outage_is_not_multiplied(rate):
    """A minute without one success: attempts stay within 1.2 times the calls, and 3 a second on top."""
    made = driver(max_attempts=10, backoff=BackoffPolicy(base=0.001, max=0.001))
    calls = 60 * rate
    for number in range(calls):
        made.clock.now = max(made.clock.now, 100.0 + number / rate)
        made.call(lambda _: Outcome(14))

    floor = 3.0 * (60.0 + 10.0)  # the first window's is granted at once
    assert calls < len(made.attempts) <= 1.2 * calls + floor


def test_a_call_that_succeeds_costs_no_budget():
    made = driver(budget=BudgetPolicy(ratio=0.0, min_per_second=0.1, window=10.0))

    for _ in range(20):
        assert 0 == made.call(failing()).code
    assert 0 == made.call(failing(14)).code
