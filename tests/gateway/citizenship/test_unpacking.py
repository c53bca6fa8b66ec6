"""Compressed bodies become bodies within their limit; bombs, damage, and what follows the end are refused."""

from __future__ import annotations

import contextlib
import gzip
import tracemalloc
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edge.unpacking import Unpacker, read_content_encoding, unpack
from gateway.problem import RequestProblem


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


CODINGS = {
    "gzip": ("gzip", gzip.compress),
    "deflate, as HTTP defines it": ("deflate", zlib.compress),
    "deflate, without a wrapper": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
}
BODY = b'{"title":"a body","pages":[1,2,3]}' * 40


@pytest.mark.parametrize(
    ("coding", "packed"), [(name, pack(BODY)) for name, pack in CODINGS.values()], ids=CODINGS
)
class TestEveryCoding:
    def test_whole(self, coding, packed):
        assert unpack(coding, packed, len(BODY)) == BODY

    def test_byte_by_byte(self, coding, packed):
        unpacker = Unpacker(coding, 1 << 20)
        assert BODY == b"".join(unpacker.feed(packed[at : at + 1]) for at in range(len(packed)))
        unpacker.finish()

    def test_over_the_limit_by_one(self, coding, packed):
        with pytest.raises(RequestProblem) as caught:
            unpack(coding, packed, len(BODY) - 1)
        assert caught.value.http_status == 413

    def test_cut_short(self, coding, packed):
        for end in (1, len(packed) // 2, len(packed) - 1):
            with pytest.raises(RequestProblem, match="ends too soon") as caught:
                unpack(coding, packed[:end], 1 << 20)
            assert caught.value.http_status is None

    def test_going_on_after_the_end(self, coding, packed):
        with pytest.raises(RequestProblem, match=r"goes on after its end|is damaged"):
            unpack(coding, packed + b"x", 1 << 20)
        unpacker = Unpacker(coding, 1 << 20)
        unpacker.feed(packed)
        with pytest.raises(RequestProblem, match="goes on after its end"):
            unpacker.feed(packed)


@pytest.mark.parametrize("size", [1, 262_144, 300_000, 491_456, 6_000_000])
@pytest.mark.parametrize(("coding", "pack"), CODINGS.values(), ids=CODINGS)
def test_what_is_much_smaller_when_packed(coding, pack, size):
    assert unpack(coding, pack(bytes(size)), size) == bytes(size)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_damaged(coding):
    with pytest.raises(RequestProblem, match="is damaged"):
        unpack(coding, b"\xff\xfe nothing of the kind, " * 10, 1 << 20)


@pytest.mark.parametrize(
    ("coding", "pack"), [CODINGS["gzip"], CODINGS["br"], CODINGS["zstd"]], ids=["gzip", "br", "zstd"]
)
def test_a_bomb_is_refused_before_it_fills_memory(coding, pack):
    bomb = pack(bytes(200 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(RequestProblem) as caught:
            unpack(coding, bomb, 1024 * 1024)
        assert caught.value.http_status == 413
        assert tracemalloc.get_traced_memory()[1] < 20 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_window_that_would_take_much_memory_is_refused():
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    wide = stream.compress(b"x" * 100) + stream.flush()
    with pytest.raises(RequestProblem, match="is damaged"):
        unpack("zstd", wide, 1 << 20)


@settings(max_examples=60)
@given(st.binary(max_size=5000), st.integers(1, 700), st.sampled_from(sorted(CODINGS)))
def test_however_it_is_cut(data, step, name):
    coding, pack = CODINGS[name]
    packed, unpacker = pack(data), Unpacker(coding, 1 << 20)
    assert data == b"".join(unpacker.feed(packed[at : at + step]) for at in range(0, len(packed), step))
    unpacker.finish()


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "br", "zstd"]))
def test_whatever_is_sent_it_is_read_or_refused(data, coding):
    with contextlib.suppress(RequestProblem):
        assert len(unpack(coding, data, 10_000)) <= 10_000


@pytest.mark.parametrize(
    ("value", "coding"),
    [
        ("gzip", "gzip"),
        (" X-GZip ", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("deflate", "deflate"),
        ("identity", ""),
    ],
)
def test_content_encoding(value, coding):
    assert coding == read_content_encoding(value)


@pytest.mark.parametrize("value", ["compress", "gzip, br", "gzip, gzip", "aws-chunked"])
def test_unknown_codings_and_several_are_415_and_say_what_would_do(value):
    with pytest.raises(RequestProblem) as caught:
        read_content_encoding(value)
    assert caught.value.http_status == 415
    assert caught.value.headers == ((b"accept-encoding", b"zstd, br, gzip, deflate"),)
