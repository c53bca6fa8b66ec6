"""The compiled codec means what google.protobuf.json_format means, on generated messages of every type."""

import itertools
import json
import re

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.codec import Codec, Options
from gateway.problem import RequestProblem
from tests.gateway.codec.generate import messages
from tests.gateway.codec.schema import MESSAGES, POOL, descriptor

EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
ALL_OPTIONS = [
    Options(proto_names=names, enum_numbers=numbers, emit_defaults=defaults)
    for names, numbers, defaults in itertools.product([False, True], repeat=3)
]
CODECS = {
    (name, options): Codec(descriptor(name), options=options) for name in MESSAGES for options in ALL_OPTIONS
}


def oracle_dict(message, options):
    return json_format.MessageToDict(
        message,
        preserving_proto_field_name=options.proto_names,
        use_integers_for_enums=options.enum_numbers,
        always_print_fields_with_no_presence=options.emit_defaults,
        descriptor_pool=POOL,
    )


def try_decode(codec, text):
    try:
        return codec.decode(text.encode()), ()
    except RequestProblem as problem:
        return None, problem.violations


def oracle_parse(data, message_class):
    try:
        return json_format.Parse(data, message_class(), descriptor_pool=POOL)
    except (json_format.ParseError, UnicodeDecodeError):
        return None


@pytest.mark.parametrize("name", MESSAGES)
@EXAMPLES
@given(data=st.data())
def test_encode_prints_what_the_oracle_prints(name, data):
    message = data.draw(messages(name))
    options = data.draw(st.sampled_from(ALL_OPTIONS))
    codec = CODECS[name, options]
    assert json.loads(json.dumps(oracle_dict(message, options))) == json.loads(codec.encode(message))


@pytest.mark.parametrize("name", MESSAGES)
@EXAMPLES
@given(data=st.data())
def test_decode_reads_back_what_encode_prints(name, data):
    message = data.draw(messages(name))
    codec = CODECS[name, data.draw(st.sampled_from(ALL_OPTIONS))]
    printed = codec.encode(message)
    again = codec.decode(printed)
    # Compared as text, for NaN is not equal to itself; a map has no fixed order.
    assert json.loads(printed) == json.loads(codec.encode(again))
    assert str(message) == str(again)


@pytest.mark.parametrize("name", MESSAGES)
@EXAMPLES
@given(data=st.data())
def test_the_wire_forms_are_those_of_the_messages(name, data):
    message = data.draw(messages(name))
    codec = CODECS[name, Options()]
    wire = message.SerializeToString(deterministic=True)
    printed = codec.encode_wire(wire)
    assert json.loads(codec.encode(message)) == json.loads(printed)
    assert str(message) == str(codec.message_class.FromString(codec.decode_wire(printed)))


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
    node, holders = document, []

    def walk(part):
        if isinstance(part, dict):
            holders.extend((part, key) for key in part)
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list):
            holders.extend((part, index) for index in range(len(part)))
            for inner in part:
                walk(inner)

    walk(node)
    if not holders or draw(st.integers(0, 9)) == 0:
        node[draw(st.sampled_from(["nope", "aDouble", "name", "by_string", "id", "number", "text"]))] = draw(
            ODD
        )
        return node
    holder, key = draw(st.sampled_from(holders))
    holder[key] = draw(ODD)
    return node


# What json_format lets pass and ProtoJSON does not, by the words it is refused with here.
STRICTER = re.compile(
    r"""expected\ (
        a\ (32-bit\ )?number,\ got\ (true|false|"inf")
        | a\ value\ of\ enum\ .*,\ got\ (true|false|1\.5|-?[0-9]{10,})
        | an\ object,\ got\ (an\ array|"")
        | base64\ text,\ got\ .*
        | an\ RFC\ 3339\ time\ .*
        | a\ duration\ .*
    )""",
    re.VERBOSE,
)


def known_difference(document):
    """Whether a document holds something that test_codec_differences.py lists, each with its reason."""
    if isinstance(document, dict):
        nothings = document.get("nothings", [])
        return (
            nothings is None
            or (isinstance(nothings, list) and None in nothings)
            or document.get("nothing", "") is None
            or {"by_string", "byString"} <= document.keys()
            or any(map(known_difference, document.values()))
        )
    if isinstance(document, list):
        return any(map(known_difference, document))
    return document in {3.4028235e38, -3.4028235e38}


@pytest.mark.parametrize("name", MESSAGES)
@settings(EXAMPLES, max_examples=250)
@given(data=st.data())
def test_decode_agrees_with_the_oracle_on_mutated_documents(name, data):
    message = data.draw(messages(name, 1))
    codec = CODECS[name, Options()]
    document = data.draw(mutated(json.loads(codec.encode(message))))
    assume(not known_difference(document))
    text = json.dumps(document)
    expected = oracle_parse(text, codec.message_class)
    actual, violations = try_decode(codec, text)
    assume(not any(STRICTER.fullmatch(violation.description) for violation in violations))
    assert (expected is None) == (actual is None), (text, violations)
    # The content of an Any is bytes, in which a map has no fixed order.
    assert str(expected) == str(actual) or oracle_dict(expected, Options()) == oracle_dict(actual, Options())
