"""Codecs of the test protos, and what they say of documents they refuse."""

import pytest

from gateway.codec import Codec, Options
from gateway.problem import RequestProblem
from mesh.call import Code
from tests.gateway.codec.schema import descriptor

THREE = "codec.three."


def codec(name, **options):
    return Codec(descriptor(name), options=Options(**options))


def violations(name, text, **options):
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(RequestProblem) as caught:
        codec(name, **options).decode(data)
    assert caught.value.code == Code.INVALID_ARGUMENT
    return [tuple(violation) for violation in caught.value.violations]
