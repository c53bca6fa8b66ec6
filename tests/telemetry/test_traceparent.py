"""The vectors of the W3C's own trace context test suite, and the examples of the specification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.telemetry import traceparent
from mesh.telemetry.traceparent import TraceContext, parse, parse_state, read, render

TRACE, SPAN = "12345678901234567890123456789012", "1234567890123456"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        (GOOD, GOOD),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"00-{TRACE}-{SPAN}-03", f"00-{TRACE}-{SPAN}-03"),
        (f"cc-{TRACE}-{SPAN}-01", GOOD),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", GOOD),
        (f"cc-{TRACE}-{SPAN}-ff", f"00-{TRACE}-{SPAN}-03"),
        (f" {GOOD}", GOOD),
        (f"\t{GOOD}", GOOD),
        (f"{GOOD} ", GOOD),
        (f"\t {GOOD} \t", GOOD),
    ],
)
def test_valid_headers(text, read_as):
    assert parse(text) == read_as


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{GOOD}.",
        f"{GOOD}-what-the-future-will-be-like",
        f"cc-{TRACE}-{SPAN}-01.what-the-future-will-be-like",
        f"ff-{TRACE}-{SPAN}-01",
        f".0-{TRACE}-{SPAN}-01",
        f"0.-{TRACE}-{SPAN}-01",
        f"000-{TRACE}-{SPAN}-01",
        f"0000-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-.{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE[:-1]}.-{SPAN}-01",
        f"00-{TRACE}3-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-.{SPAN[1:]}-01",
        f"00-{TRACE}-{SPAN[:-1]}.-01",
        f"00-{TRACE}-{SPAN}7-01",
        f"00-{TRACE}-{SPAN[:-1]}-01",
        f"00-{TRACE}-{SPAN}-.0",
        f"00-{TRACE}-{SPAN}-0.",
        f"00-{TRACE}-{SPAN}-001",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{'ABCDEF' + TRACE[6:]}-{SPAN}-01",
        f"00_{TRACE}-{SPAN}-01",
    ],
)
def test_invalid_headers_are_ignored(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    ("headers", "state"),
    [
        (["foo=1,bar=2"], "foo=1,bar=2"),
        (["foo=1", ""], "foo=1"),
        (["", "foo=1"], "foo=1"),
        ([""], ""),
        (["foo=1,bar=2", "rojo=1,congo=2", "baz=3"], "foo=1,bar=2,rojo=1,congo=2,baz=3"),
        (["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        ([" foo=1"], "foo=1"),
        (["\tfoo=1\t "], "foo=1"),
        (["foo=1,foo=1"], ""),
        (["foo=1", "foo=2"], ""),
        (["foo =1"], ""),
        (["FOO=1"], ""),
        (["foo.bar=1"], ""),
        (["foo@=1,bar=2"], ""),
        (["@foo=1,bar=2"], ""),
        (["foo@@bar=1,bar=2"], ""),
        (["foo@bar@baz=1,bar=2"], ""),
        (["foo"], ""),
        (["foo=bar=baz"], ""),
        (["t61rcwkgmze@fo=00f067aa0ba902b7"], "t61rcwkgmze@fo=00f067aa0ba902b7"),
        ([",".join(f"k{i}=1" for i in range(32))], ",".join(f"k{i}=1" for i in range(32))),
        ([",".join(f"k{i}=1" for i in range(33))], ""),
        (["z" * 256 + "=1"], "z" * 256 + "=1"),
        (["z" * 257 + "=1"], ""),
        (["t" * 241 + "@" + "v" * 14 + "=1"], "t" * 241 + "@" + "v" * 14 + "=1"),
        (["t" * 242 + "@v=1"], ""),
        (["t@" + "v" * 15 + "=1"], ""),
        (["foo=" + "v" * 256], "foo=" + "v" * 256),
        (["foo=" + "v" * 257], ""),
    ],
)
def test_tracestate(headers, state):
    assert parse_state(headers) == state


def test_all_allowed_characters_are():
    key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
    value = "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) not in ",=")

    assert parse_state([f"{key}={value}"]) == f"{key}={value}"
    assert parse_state([f"{key}@a-z0-9_-*/={value}"]) == f"{key}@a-z0-9_-*/={value}"


def test_a_duplicated_traceparent_is_none():
    assert read([("traceparent", GOOD), ("traceparent", GOOD)]) is None


def test_tracestate_without_a_valid_traceparent_is_dropped():
    assert read([("tracestate", "foo=1")]) is None
    assert read([("traceparent", "x"), ("tracestate", "foo=1")]) is None


def test_other_names_are_not_read():
    assert read([("trace-parent", GOOD), ("trace.parent", GOOD)]) is None
    assert read([("traceparent", GOOD), ("trace-state", "foo=1")]) == TraceContext(GOOD)


def test_binary_values_are_not_read():
    assert read([("traceparent", GOOD.encode())]) is None


def test_what_goes_out_is_what_came_in():
    context = read([("x", "y"), ("traceparent", GOOD), ("tracestate", "foo=1"), ("tracestate", "bar=2")])

    assert context is not None
    assert context.outgoing() == [("traceparent", GOOD), ("tracestate", "foo=1,bar=2")]
    assert (TRACE, SPAN, 1, True) == (context.trace_id, context.span_id, context.flags, context.sampled)


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_what_is_rendered_is_read_back(trace_id, span_id, flags):
    context = read([("traceparent", render(trace_id, span_id, flags))])

    assert context is not None
    assert (trace_id, span_id, flags) == (int(context.trace_id, 16), int(context.span_id, 16), context.flags)
    assert context.sampled is bool(flags & 1)


@given(st.text(max_size=70))
def test_no_text_raises(text):
    parse(text)
    parse_state([text])


def test_a_new_unsampled_trace_is_valid_even_when_chance_is_nought():
    context = traceparent.unsampled(lambda bits: 0)

    assert parse(context.header) == context.header
    assert not context.sampled
