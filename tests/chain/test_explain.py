"""What `explain` prints is what runs: each stage in order, with its policy's values and its reason."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Side
from mesh.chain import Chains, explain
from mesh.telemetry.telemetry import Telemetry
from tests.policy.test_table import described, table

POLICIES = """
defaults:
  trace: {enabled: false}
services:
- service: shop.v1.Shop
  policy:
    deadline: {default_timeout: 2s, max_timeout: 5s, hop_reserve: 0.05s}
    access_log: {scope: ACCESS_LOG_SCOPE_FAILURES}
    retry: {codes: [STATUS_CODE_UNAVAILABLE, STATUS_CODE_ABORTED]}
    circuit_breaker: {failure_ratio: 0, half_open_probes: 2}
    load_report: {enabled: false}
"""

CLIENT = """\
shop.v1.Shop/Get (client, unary_unary) to shop
  call     trace               no spans: switched off; the trace context is carried
                               because everything below must appear inside the span
  call     metrics             rpc.client.call.duration by status, mesh.client.active_calls, mesh.client.rejections by stage
                               because a call that is refused below must still be counted
  call     access_log          one line of JSON for each call that fails
                               because a call that is refused below must still leave a line
  call     deadline            default 2s, at most 5s, 0.05s kept back on each hop
                               because work for a caller that has gone is waste, and all attempts share one deadline
  between  retry               3 attempts on ABORTED, UNAVAILABLE (the proto says it is idempotent); waits 0.025s to 0.25s \
x2, full jitter; budget 20% of calls + 3/s
                               because each attempt must ask the breaker again
  attempt  circuit_breaker     opens after 10 failures in a row; rejects for 1s to 5s; 2 probes
                               because a call to a dead target must not take a slot
  attempt  client_concurrency  at most 1024 in flight
                               because only attempts that go out take a slot
  attempt  attempt_metrics     grpc.client.attempt.duration by status
                               because nearest the wire: it times the wire and nothing else
  off      route, message_metrics, priority, stream_limit, message_limit, mirror, fallback, hedge, fault"""

SERVER = """\
shop.v1.Shop/Buy (server, unary_stream) in shop
  call     trace               no spans: switched off; the trace context is carried
                               because everything below must appear inside the span
  call     metrics             rpc.server.call.duration by status, mesh.server.active_calls, mesh.server.rejections by stage
                               because a call that is refused below must still be counted
  call     access_log          one line of JSON for each call that fails
                               because a call that is refused below must still leave a line
  call     deadline            default 2s, at most 5s
                               because work for a caller that has gone is waste, and all attempts share one deadline
  off      message_metrics, load_report, priority, rate_limit, stream_limit, message_limit, validation, server_concurrency"""


def text(method: str, arity: Arity, side: Side, policies: str = POLICIES) -> str:
    made = Chains(table(policies, described()), side=side, target="shop", telemetry=Telemetry())
    return explain(made.scope(f"/shop.v1.Shop/{method}", arity))


def test_a_clients_chain():
    assert CLIENT == text("Get", Arity.UNARY_UNARY, Side.CLIENT)


def test_a_servers_chain():
    assert SERVER == text("Buy", Arity.UNARY_STREAM, Side.SERVER)


@pytest.mark.parametrize(
    ("policies", "reason"),
    [
        (
            "defaults: {retry: {idempotency_key: false}}",
            "the proto does not say the method is idempotent (idempotency_level), and scope is not ALL",
        ),
        ("defaults: {retry: {enabled: false}}", "switched off"),
        ("defaults: {hedge: {}}", "hedge takes its place"),
    ],
)
def test_why_there_is_no_retry(policies, reason):
    assert f"retry ({reason})" in text("Buy", Arity.UNARY_UNARY, Side.CLIENT, policies)


def test_why_there_is_no_hedging():
    policies = "defaults: {retry: {idempotency_key: false}, hedge: {}}"
    reason = "the proto does not say the method is idempotent (idempotency_level), and scope is not ALL"

    assert f"hedge ({reason})" in text("Buy", Arity.UNARY_UNARY, Side.CLIENT, policies)


@pytest.mark.parametrize(
    ("method", "policy", "printed"),
    [
        (
            "Get",
            "{}",
            "once 100 answers are seen; UNAVAILABLE does not decide (the proto says it is idempotent); budget 20% of calls",
        ),
        ("Get", "{}", "up to 2 attempts, after p95 of its latency, at least 0.002s, "),
        ("Get", "{delay: 0.05s, max_attempts: 3}", "up to 3 attempts, each 0.05s after the one before; "),
        ("Get", "{delay: 0s}", "up to 2 attempts, all at once; "),
        ("Buy", "{}", "(requests with idempotency-key only)"),
        ("Buy", "{scope: RETRY_SCOPE_ALL}", "(every method may be)"),
    ],
)
def test_how_calls_are_hedged(method, policy, printed):
    assert printed in text(method, Arity.UNARY_UNARY, Side.CLIENT, f"defaults: {{hedge: {policy}}}")


def test_streams_of_requests_are_hedged_only_when_they_can_be():
    assert "a list or tuple" in text("Get", Arity.STREAM_UNARY, Side.CLIENT, "defaults: {hedge: {}}")


def test_what_else_retries_and_deadlines_are_told():
    policies = """
    defaults:
      deadline: {min_attempt_time: 0.01s}
      retry: {attempt_timeout: 0.2s, backoff: {jitter: JITTER_DECORRELATED}}
    """
    printed = text("Get", Arity.UNARY_UNARY, Side.CLIENT, policies)

    assert "no attempt with less than 0.01s left" in printed
    assert "waits 0.025s to 0.25s, decorrelated jitter" in printed
    assert "; 0.2s for each attempt" in printed
    other = text("Buy", Arity.UNARY_UNARY, Side.CLIENT, policies)
    assert "requests with idempotency-key only" in other
    assert "attempt_timeout is inert here" in other
    assert "attempt_timeout is inert here" in text("Get", Arity.UNARY_STREAM, Side.CLIENT, policies)
    assert "no attempt with" not in text("Get", Arity.UNARY_UNARY, Side.SERVER, policies)


def test_the_operator_may_vouch_for_every_method():
    printed = text("Buy", Arity.UNARY_UNARY, Side.CLIENT, "defaults: {retry: {scope: RETRY_SCOPE_ALL}}")

    assert "(every method may be)" in printed


def test_streams_of_requests_are_retried_only_when_they_can_be():
    assert "inert unless the requests are a list or tuple" in text("Get", Arity.STREAM_UNARY, Side.CLIENT)


def test_a_stream_of_responses_has_no_default_deadline():
    assert "no default" in text("Get", Arity.UNARY_STREAM, Side.CLIENT, "")
    assert "default 15s" in text("Get", Arity.UNARY_UNARY, Side.CLIENT, "")
