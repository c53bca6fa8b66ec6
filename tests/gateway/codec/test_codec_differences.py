"""Where the codec and google.protobuf.json_format differ on purpose: one row each, with the reason."""

import pytest
from google.protobuf import json_format

from gateway.codec import Codec
from gateway.problem import RequestProblem
from tests.gateway.codec.schema import POOL, descriptor

REFUSED_HERE = [
    ("three.Scalars", '{"aDouble": true}', "a boolean is no number"),
    ("three.Scalars", '{"aDouble": "inf"}', 'the spelling is "Infinity"; Python\'s own are not ProtoJSON'),
    ("three.Scalars", '{"aDouble": "1_000"}', "digits are not grouped in JSON"),
    ("three.Scalars", '{"aDouble": " 1.5"}', "a number in quotes has no spaces"),
    ("three.Scalars", '{"aDouble": "1e400"}', "a number out of range does not become infinite"),
    ("three.Scalars", '{"aFloat": "1e39"}', "likewise in 32 bits"),
    ("three.Scalars", '{"anInt32": "1_000"}', "digits are not grouped in JSON"),
    ("three.Scalars", '{"anInt32": "\\t5"}', "a number in quotes has no spaces"),
    ("three.Scalars", '{"anInt32": "\\u0663"}', "digits are ASCII"),
    ("three.Scalars", '{"anInt64": -9223372036854775808.0}', "cannot be told from -9223372036854775809"),
    ("three.Scalars", '{"aBytes": "a*b="}', "what is not base64 is not skipped"),
    ("three.Scalars", '{"aColour": true}', "a boolean is no enum value"),
    ("three.Scalars", '{"aColour": 1.5}', "an enum number is not rounded"),
    (
        "three.Scalars",
        '{"aColour": -9223372036854775808}',
        "an enum number has 32 bits, and none are cut off",
    ),
    ("three.Scalars", '{"anInt32": 1, "an_int32": 2}', "one field under two names"),
    ("three.Scalars", '{"anInt32": 1, "an_int32": null}', "likewise, and null is no reason to prefer one"),
    ("three.Maps", '{"byInt32": {"1": 1, "01": 2}}', "one key of a map in two spellings"),
    ("three.Presence", '{"nothing": null, "text": "x"}', "null is a value of NullValue, so two are set"),
    ("three.Tree", "[]", "an empty array is no object"),
    ("three.WellKnown", '{"at": "2024-1-2T3:4:5Z"}', "RFC 3339 has two digits"),
    ("three.WellKnown", '{"at": "2024-01-02T03:04:05+99:99"}', "no such offset"),
    ("three.WellKnown", '{"wait": "1.0000000001s"}', "a duration has nanoseconds at most"),
    ("three.WellKnown", '{"wait": "+1s"}', "a duration has no plus sign"),
    (
        "three.WellKnown",
        '{"any": {"@type": "google.protobuf.Duration", "value": "1s"}}',
        "any.proto wants a slash, and others do not unpack an Any without",
    ),
    (
        "three.WellKnown",
        '{"any": {"@type": "x/google.protobuf.Duration", "value": "1s", "x": 1}}',
        "unknown member",
    ),
]

ACCEPTED_HERE = [
    ("three.Scalars", '{"aFloat": 3.4028235e38}', "the largest float as everyone prints it"),
    ("three.WellKnown", '{"nothings": [null]}', "what json_format itself prints"),
]


@pytest.mark.parametrize(("name", "text", "reason"), REFUSED_HERE)
def test_refused_here_and_accepted_by_json_format(name, text, reason):
    codec = Codec(descriptor(f"codec.{name}"))
    json_format.Parse(text, codec.message_class(), descriptor_pool=POOL)
    with pytest.raises(RequestProblem):
        codec.decode(text.encode())


@pytest.mark.parametrize(("name", "text", "reason"), ACCEPTED_HERE)
def test_accepted_here_and_refused_by_json_format(name, text, reason):
    codec = Codec(descriptor(f"codec.{name}"))
    codec.decode(text.encode())
    with pytest.raises(json_format.ParseError):
        json_format.Parse(text, codec.message_class(), descriptor_pool=POOL)
