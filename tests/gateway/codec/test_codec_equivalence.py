"""The compiled codec means what google.protobuf.json_format means, on generated messages of every type."""

import json

import pytest
from google.protobuf.message_factory import GetMessageClass
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.codec import Codec
from tests.gateway.codec.generate import messages
from tests.gateway.codec.invent import schemas
from tests.gateway.codec.oracle import (
    MANY,
    OPTIONS,
    check_bytes,
    check_printed,
    check_read,
    check_wire,
    examples,
    looser,
    mutated,
    torn,
)
from tests.gateway.codec.schema import MESSAGES, descriptor

CODECS = {name: Codec(descriptor(name)) for name in MESSAGES}


@pytest.mark.parametrize("name", MESSAGES)
@examples(30)
@given(data=st.data())
def test_what_is_printed_is_what_the_oracle_prints_and_is_read_back(name, data):
    codec = Codec(descriptor(name), options=data.draw(OPTIONS))
    check_printed(codec, data.draw(messages(descriptor(name))))


@pytest.mark.parametrize("name", MESSAGES)
@examples(20)
@given(data=st.data())
def test_the_wire_forms_are_those_of_the_messages(name, data):
    check_wire(CODECS[name], data.draw(messages(descriptor(name))))


@pytest.mark.parametrize("name", MESSAGES)
@examples(70)
@given(data=st.data())
def test_a_mutated_document_is_read_as_the_oracle_reads_it(name, data):
    codec = CODECS[name]
    message = data.draw(messages(descriptor(name), 1))
    document = data.draw(mutated(json.loads(codec.encode(message))))
    assume(not looser(document))
    check_read(codec, json.dumps(document))


@pytest.mark.parametrize("name", MESSAGES)
@examples(50)
@given(data=st.data())
def test_torn_bytes_are_read_as_the_oracle_reads_them(name, data):
    codec = CODECS[name]
    check_bytes(codec, data.draw(torn(codec.encode(data.draw(messages(descriptor(name), 1))))))


@pytest.mark.timeout(120 * MANY)
@examples(120)
@given(data=st.data())
def test_schemas_nobody_thought_of(data):
    kind = data.draw(schemas())
    codec = Codec(kind, options=data.draw(OPTIONS))
    assert GetMessageClass(kind) is codec.message_class
    message = data.draw(messages(kind))
    check_printed(codec, message)
    check_wire(codec, message)
    printed = codec.encode(message)
    document = data.draw(mutated(json.loads(printed)))
    if not looser(document):
        check_read(codec, json.dumps(document))
    check_bytes(codec, data.draw(torn(printed)))
