"""A coding is chosen by weight and then by what it costs; every coding's output is what its standard decoder reads."""

from __future__ import annotations

import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.compression import (
    Accepted,
    AcceptedEncodings,
    Coding,
    Packer,
    compress,
    is_compressible,
    read_accept_encoding,
)

ZSTD, BROTLI, GZIP = Coding
DECODERS = {ZSTD: zstandard.ZstdDecompressor().decompress, BROTLI: brotli.decompress, GZIP: gzip.decompress}


@pytest.mark.parametrize(
    ("rule", "value", "accepted"),
    [
        ("curl --compressed", "deflate, gzip, br, zstd", Accepted(ZSTD)),
        ("a browser of 2020", "gzip, deflate, br", Accepted(BROTLI)),
        ("many libraries", "gzip", Accepted(GZIP)),
        ("8.4.1.3: x-gzip is gzip", "x-gzip", Accepted(GZIP)),
        ("8.4: names are case-insensitive", "GZIP;Q=0.5", Accepted(GZIP)),
        ("weight first", "gzip;q=1.0, br;q=0.9, zstd;q=0.1", Accepted(GZIP)),
        ("12.4.2: q=0 is not acceptable", "zstd;q=0, br; q=0.000, gzip", Accepted(GZIP)),
        ("12.5.3: * is every coding not named", "zstd;q=0, *", Accepted(BROTLI)),
        ("identity preferred", "identity, gzip;q=0.5", Accepted(None)),
        ("identity as good: compressed", "identity, gzip", Accepted(GZIP)),
        ("identity refused", "gzip, identity;q=0", Accepted(GZIP, only_coded=True)),
        ("everything else refused", "gzip, *;q=0", Accepted(GZIP, only_coded=True)),
        ("12.5.3: named, identity is not under *", "gzip, identity;q=0.1, *;q=0", Accepted(GZIP)),
        ("nothing that can be done: sent as it is", "identity;q=0", Accepted(None)),
        ("nothing that can be done: sent as it is", "compress", Accepted(None)),
        ("empty", "", Accepted(None)),
        ("what is not well-formed is not accepted", "gzip;q=2, br;q=x, zstd;q=0.1234, ,;", Accepted(None)),
    ],
)
def test_accept_encoding(rule, value, accepted):
    assert accepted == read_accept_encoding(value), rule


@given(st.text(max_size=60))
def test_no_header_breaks_it(value):
    assert read_accept_encoding(value).coding in {None, *Coding}


def test_headers_that_clients_make_up_take_no_memory():
    known = AcceptedEncodings()
    for number in range(2000):
        assert known[b"gzip;q=0.%03d" % (number % 1000 or 1) + b" " * (number // 1000)].coding is GZIP
    assert len(known) <= 256


@pytest.mark.parametrize(
    ("content_type", "compressible"),
    [
        (b"application/json", True),
        (b"application/json; charset=utf-8", True),
        (b"application/problem+json", True),
        (b"application/x-ndjson", True),
        (b"Text/HTML", True),
        (b"image/svg+xml", True),
        (b"text/event-stream", False),
        (b"image/png", False),
        (b"application/zip", False),
        (b"application/octet-stream", False),
        (b"application/grpc-web+proto", False),
        (b"", False),
    ],
)
def test_types(content_type, compressible):
    assert compressible == is_compressible(content_type)


@pytest.mark.parametrize("coding", Coding)
@pytest.mark.parametrize("body", [b"", b"x", b'{"a":1}' * 5000])
def test_a_whole_body(coding, body):
    assert body == DECODERS[coding](compress(coding, body))


def incremental(coding):
    if coding is ZSTD:
        return zstandard.ZstdDecompressor().decompressobj().decompress
    return brotli.Decompressor().process if coding is BROTLI else zlib.decompressobj(31).decompress


@pytest.mark.parametrize("coding", Coding)
def test_each_piece_of_a_stream_can_be_read_when_it_arrives(coding):
    packer, read = Packer(coding), incremental(coding)
    for number in range(50):
        line = b'{"result":{"number":%d}}\n' % number
        assert line == read(packer.pack(line))
    assert read(packer.finish()) == b""


def test_pieces_that_are_alike_get_smaller():
    line = b'{"result":{"title":"a rather long title of a book","pages":312}}\n'
    for coding in Coding:
        packer = Packer(coding)
        assert sum(len(packer.pack(line)) for _ in range(100)) < 100 * len(line) / 3
