"""Details of an error are rendered as far as their types are known."""

from __future__ import annotations

import json

import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from gateway.render.detail import NOTHING, read_details
from gateway.render.status import encode_problem, encode_status, http_status, public_message


def nowhere(name: str) -> None:
    raise KeyError(name)


def trailing(*details):
    packed = []
    for detail in details:
        packed.append(detail if isinstance(detail, any_pb2.Any) else any_pb2.Any())
        if packed[-1] is not detail:
            packed[-1].Pack(detail)
    return (("grpc-status-details-bin", status_pb2.Status(code=3, details=packed).SerializeToString()),)


def test_unknown_types_keep_their_bytes():
    unknown = any_pb2.Any(type_url="type.googleapis.com/nowhere.v1.Unknown", value=b"\x01\x02")
    assert read_details(trailing(unknown), nowhere).details == [
        {"@type": "type.googleapis.com/nowhere.v1.Unknown", "value": "AQI="}
    ]


def test_a_type_whose_json_is_no_object_is_put_under_value():
    duration = duration_pb2.Duration(seconds=3)
    assert read_details(trailing(duration), nowhere).details == [
        {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "3s"}
    ]


def test_known_type_with_broken_bytes_is_kept_as_bytes():
    broken = any_pb2.Any(type_url="type.googleapis.com/google.rpc.BadRequest", value=b"\xff\xff")
    assert read_details(trailing(broken), nowhere).details[0]["value"] == "//8="


@pytest.mark.parametrize("value", [b"\xff\xff\xff", "text"])
def test_a_trailer_that_is_no_status_says_nothing(value):
    assert read_details((("grpc-status-details-bin", value),), nowhere) is NOTHING
    assert read_details((), nowhere) is NOTHING


def test_retry_after_is_rounded_up_and_never_negative():
    def after(seconds):
        delay = duration_pb2.Duration(seconds=seconds)
        return read_details(trailing(error_details_pb2.RetryInfo(retry_delay=delay)), nowhere).retry_after

    assert (after(2), after(0), after(-5)) == (2, 0, 0)


def test_a_status_nobody_defined_is_the_servers_fault():
    assert (http_status(0), http_status(17), http_status(-1)) == (200, 500, 500)


def test_messages_that_are_no_unicode_are_sent_with_replacements():
    assert b'"message":"bad ?"' in encode_status(3, "bad \ud800", [{"@type": "x", "y": "\ud800"}])


@pytest.mark.parametrize(
    ("message", "unavailable", "shown"),
    [
        ("Stream removed (Deadline Exceeded)", False, "the call to the service behind this method was cut off"),
        ("out of stock", False, "out of stock"),
        ("out of stock", True, "out of stock"),
        ("failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.7:1", True,
         "the service behind this method cannot be reached"),
        ("Unexpected <class 'KeyError'>: 'password'", False, "the service behind this method failed"),
        ('step "price": circuit open for /s.S/Get at 10.0.0.7:1, probes again in 0.7s', True,
         'step "price": circuit open for /s.S/Get, probes again in 0.7s'),
    ],
)  # fmt: skip
def test_addresses_and_exceptions_stay_inside(message, unavailable, shown):
    assert public_message(message, unavailable=unavailable) == shown


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name, message in error_details_pb2.DESCRIPTOR.message_types_by_name.items()
        if not message.GetOptions().map_entry
    ),
)
def test_every_detail_of_google_rpc_is_typed(name):
    detail = getattr(error_details_pb2, name)()
    field = detail.DESCRIPTOR.fields[0]
    if field.is_repeated:
        repeated = getattr(detail, field.name)
        if field.message_type is None:
            repeated.append("one")
        else:
            repeated.add()
    elif field.message_type is not None:
        getattr(detail, field.name).SetInParent()
    else:
        setattr(detail, field.name, "one")
    rendered = read_details(trailing(detail), nowhere).details[0]
    assert rendered.pop("@type") == f"type.googleapis.com/google.rpc.{name}"
    assert list(rendered) == [field.json_name]


def test_problems_have_the_same_members_beside_their_own():
    problem = json.loads(
        encode_problem(404, 5, "bad \ud800", [{"@type": "x", "y": "\ud800"}], request_id="a b")
    )
    assert problem == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "bad ?",
        "instance": "urn:request:a%20b",
        "code": 5,
        "details": [],
    }
