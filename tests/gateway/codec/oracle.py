"""The codec beside google.protobuf.json_format: what both must do alike, for any message and any document.

MESH_FUZZ multiplies the number of examples; pytest's --hypothesis-seed chooses others.
"""

import json
import math
import os
import re

from google.protobuf import json_format
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st

from gateway.codec import Options
from gateway.problem import RequestProblem

MANY = int(os.environ.get("MESH_FUZZ") or 1)
OPTIONS = st.builds(
    Options, proto_names=st.booleans(), enum_numbers=st.booleans(), emit_defaults=st.booleans()
)


def examples(number):
    """Settings of a test that runs so many examples, or MESH_FUZZ times as many."""
    return settings(max_examples=number * MANY, deadline=None, suppress_health_check=list(HealthCheck))


def pool_of(codec):
    return codec.descriptor.file.pool


def oracle_dict(message, options=Options()):  # noqa: B008 - frozen
    return json_format.MessageToDict(
        message,
        preserving_proto_field_name=options.proto_names,
        use_integers_for_enums=options.enum_numbers,
        always_print_fields_with_no_presence=options.emit_defaults,
        descriptor_pool=message.DESCRIPTOR.file.pool,
    )


def oracle_parse(text, codec):
    try:
        return json_format.Parse(text, codec.message_class(), descriptor_pool=pool_of(codec))
    except (json_format.ParseError, UnicodeDecodeError):
        return None


def decode(codec, data):
    """Return the message of a document, or None and why it is refused."""
    try:
        return codec.decode(data), ()
    except RequestProblem as problem:
        return None, problem.violations


def same(left, right):
    """Whether two messages are equal, NaN being equal to itself."""
    return left.SerializePartialToString(deterministic=True) == right.SerializePartialToString(
        deterministic=True
    )


def check_printed(codec, message):
    """What is printed is what the oracle prints, and is read back as the same message."""
    printed = codec.encode(message)
    # Compared as JSON, for a map has no fixed order.
    assert json.loads(json.dumps(oracle_dict(message, codec.options))) == json.loads(printed)
    again = codec.decode(printed)
    assert json.loads(printed) == json.loads(codec.encode(again))
    assert same(message, again)


def check_wire(codec, message):
    """The forms on the wire are those of the messages."""
    printed = codec.encode_wire(message.SerializeToString(deterministic=True))
    assert json.loads(codec.encode(message)) == json.loads(printed)
    assert same(message, codec.message_class.FromString(codec.decode_wire(printed)))


# What json_format lets pass and ProtoJSON does not, by the words it is refused with here. One row of
# test_codec_differences.py or more stands for each.
STRICTER = re.compile(
    r"""expected\ (
        a\ (32-bit\ )?number,\ got\ (true|false|".*")
        | (an\ integer\ .*|a\ key\ that\ is\ an\ integer\ .*),\ got\ ".*"
        | an\ integer\ .*,\ got\ -9\.223372036854775[0-9]*e\+?18
        | a\ value\ of\ enum\ .*,\ got\ (true|false|-?[0-9.]+(e\+?[0-9]+)?)
        | an\ object,\ got\ (an\ array|"")
        | base64\ text,\ got\ .*
        | an\ RFC\ 3339\ time\ .*
        | a\ duration\ .*
        | a\ type\ URL\ .*
    )
    | given\ twice,\ as\ .*
    | only\ one\ field\ .*nothing.*
    | expected\ "@type"\ and\ "value"\ alone\ .*""",
    re.VERBOSE | re.DOTALL,
)


def looser(document):
    """Whether a document holds what is read here and refused by json_format: see test_codec_differences.py."""
    if isinstance(document, dict):
        nothings = document.get("nothings", [])
        return (
            nothings is None
            or (isinstance(nothings, list) and None in nothings)
            or document.get("nothing", "") is None
            or any(map(looser, document.values()))
        )
    if isinstance(document, list):
        return any(map(looser, document))
    return document in {3.4028235e38, -3.4028235e38}


def check_read(codec, text):
    """A document is accepted and refused as the oracle does it, and means the same."""
    actual, violations = decode(codec, text.encode())
    assume(not any(STRICTER.fullmatch(violation.description) for violation in violations))
    expected = oracle_parse(text, codec)
    assert (expected is None) == (actual is None), (text, violations)
    if expected is not None:
        # The content of an Any is bytes, in which a map of json_format's has no fixed order.
        assert same(expected, actual) or oracle_dict(expected) == oracle_dict(actual), text


def check_bytes(codec, data):
    """Bytes that are no JSON, or JSON that no message can hold, are refused; others are read as the oracle reads them."""
    try:
        text = data.decode()
        document = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        json.dumps(document, ensure_ascii=False).encode()  # refuses unpaired surrogates
    except (ValueError, RecursionError):
        assert decode(codec, data)[0] is None, data
        return
    assume(not looser(document))
    check_read(codec, text)


def _refuse(text):
    raise ValueError(text)


def _finite(text):
    if math.isinf(number := float(text)):
        raise ValueError(text)
    return number


# Values that fit some field or none, put in place of a value of a correct document.
ODD = st.sampled_from([
    None, True, False, 0, 1, -1, 1.0, 1.5, 1e3, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63), 1e300,
    "", "1", "-1", "1.0", "1.5", "1e3", "true", "NaN", "Infinity", "-Infinity", "inf", "x", "RED", "CRIMSON", "SMALL",
    "3", "é", "a b", "YQ", "YQ==", "__-_", "1s", "-1.5s", "2024-02-30T00:00:00Z", "2024-02-29T12:00:00.5+01:00",
    "a,bC", [], {}, [None], [1], ["1"], {"a": 1}, {"1": "1"}, {"true": "RED"}, [[]], [{}], {"a": None}, {"a": {}},
])  # fmt: skip


@st.composite
def mutated(draw, document):
    """A document with one value somewhere replaced by an odd one, or an unknown member added."""
    holders = []

    def walk(part):
        if isinstance(part, dict):
            holders.extend((part, key) for key in part)
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list):
            holders.extend((part, index) for index in range(len(part)))
            for inner in part:
                walk(inner)

    walk(document)
    if isinstance(document, dict) and (not holders or draw(st.integers(0, 9)) == 0):
        name = draw(st.sampled_from(["nope", "aDouble", "name", "by_string", "id", "number", "text"]))
        document[name] = draw(ODD)
    elif holders:
        holder, key = draw(st.sampled_from(holders))
        holder[key] = draw(ODD)
    else:
        return draw(ODD)
    return document


PIECES = st.sampled_from([
    b",", b":", b"{", b"}", b"[", b"]", b'"', b"\\", b"NaN", b"-Infinity", b"1e999", b"1e40", b"-", b"0", b".5", b"\\ud800",
    b"\\u0000", b"\\u003a", b"\\ud83d\\ude00", b"null", b"true", b" ", b"\n", b"\t", b"\xff", b"\xef\xbb\xbf", b"//", b"'",
    b'"@type":"x"', b'"a":1,', b"[]", b"{}",
])  # fmt: skip


@st.composite
def torn(draw, data):
    """A document some of whose bytes were cut out, repeated, or replaced by pieces of JSON and of what is none."""
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
        end = min(end, start + draw(st.sampled_from([0, 1, 8, 40])))
        middle = draw(st.sampled_from([b"", data[start:end] * 2]) | PIECES)
        data = data[:start] + middle + data[end:]
    return data
