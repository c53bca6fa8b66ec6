"""Requests that break their rules, between a real server and real clients."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

from mesh.errors import ConfigError
from tests import ruled
from tests.binding.chat import (
    refused,
)


async def test_a_request_that_breaks_its_rules_never_enters_the_handler():
    async with ruled.orders() as (service, channel):
        order, receipt = ruled.message("Order"), ruled.message("Receipt")
        call = channel.unary_unary(ruled.PLACE, order.SerializeToString, receipt.FromString)

        error = await refused(call(order(buyer="x")))

        assert grpc.StatusCode.INVALID_ARGUMENT is error.code()
        assert "buyer: must be at least 2 characters" == error.details()
        status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        bad = error_details_pb2.BadRequest()
        assert status.details[0].Unpack(bad)
        assert [("buyer", "STRING_MIN_LEN")] == [(one.field, one.reason) for one in bad.field_violations]
        assert 0 == service.placed
        assert "me" == (await call(order(buyer="me"))).id


async def test_each_request_of_a_stream_is_checked():
    async with ruled.orders() as (service, channel):
        order = ruled.message("Order")
        call = channel.stream_unary(ruled.UPLOAD, order.SerializeToString)

        error = await refused(call([order(buyer="me"), order(buyer="x")]))

        assert grpc.StatusCode.INVALID_ARGUMENT is error.code()
        assert 1 == service.placed


async def test_a_server_whose_rules_do_not_compile_does_not_start():
    with pytest.raises(ConfigError, match="Broken: validation"):
        async with ruled.orders("Broken"):
            pass
