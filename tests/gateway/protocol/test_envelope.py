"""Envelopes are found however the network cuts the bytes."""

from __future__ import annotations

import base64
import itertools

import pytest

from gateway.problem import RequestProblem
from gateway.protocol.envelope import Envelope, Splitter, pack
from gateway.protocol.text import TextReader
from mesh.call import Code

ENVELOPES = [Envelope(0, b"one"), Envelope(1, b""), Envelope(0x80, b"grpc-status: 0\r\n"), Envelope(2, b"{}")]
STREAM = b"".join(pack(*envelope) for envelope in ENVELOPES)


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_every_split_position_finds_the_same_envelopes(cut):
    splitter = Splitter(100)

    found = splitter.feed(STREAM[:cut]) + splitter.feed(STREAM[cut:])
    splitter.end()

    assert ENVELOPES == found


def test_single_bytes_find_the_same_envelopes():
    splitter = Splitter(100)

    found = list(itertools.chain.from_iterable(splitter.feed(bytes([byte])) for byte in STREAM))

    assert ENVELOPES == found


def test_an_envelope_comes_out_as_soon_as_its_last_byte_is_in():
    splitter = Splitter(100)

    assert [] == splitter.feed(pack(0, b"message")[:-1])
    assert [Envelope(0, b"message")] == splitter.feed(b"e")


def test_a_message_over_the_limit_is_refused_by_its_head_alone():
    with pytest.raises(RequestProblem, match="larger than the limit of 10 bytes") as caught:
        Splitter(10).feed(pack(0, b"x" * 11)[:5])

    assert Code.RESOURCE_EXHAUSTED == caught.value.code


def test_a_message_of_the_limit_passes():
    assert [Envelope(0, b"x" * 10)] == Splitter(10).feed(pack(0, b"x" * 10))


@pytest.mark.parametrize("cut", [1, 4, 5, 7])
def test_an_end_within_an_envelope_is_refused(cut):
    splitter = Splitter(10)
    splitter.feed(pack(0, b"one")[:cut])

    with pytest.raises(RequestProblem, match="the body ends within a message"):
        splitter.end()


# "application/grpc-web-text": "base64-encoded "chunks" with potential padding whenever the runtime needs to flush".
CHUNKED = (
    base64.b64encode(b"a") + base64.b64encode(b"bc") + base64.b64encode(b"def") + base64.b64encode(b"gh")
)


@pytest.mark.parametrize("cut", range(len(CHUNKED) + 1))
def test_padding_in_the_middle_ends_a_group_and_not_the_text(cut):
    reader = TextReader()

    assert b"abcdefgh" == reader.feed(CHUNKED[:cut]) + reader.feed(CHUNKED[cut:]) + reader.end()


@pytest.mark.parametrize(
    ("text", "expected"), [(b"YQ", b"a"), (b"YWI", b"ab"), (b"", b""), (b"YWJj", b"abc")]
)
def test_a_last_group_may_lack_its_padding(text, expected):
    reader = TextReader()

    assert expected == reader.feed(text) + reader.end()


@pytest.mark.parametrize("text", [b"Y", b"Y===", b"YW=j", b"YQ=!", b"----", b"a b="])
def test_what_is_not_base64_is_refused(text):
    reader = TextReader()

    with pytest.raises(RequestProblem, match="the body is not base64"):
        assert reader.feed(text) + reader.end()
