"""A request that breaks the rules of its service is 400 at the edge, with each violation in the body."""

from __future__ import annotations

from gateway.app import Gateway
from gateway.load import Source, load
from mesh.config.spec import Gateway as Settings
from tests import ruled
from tests.gateway.asgi.client import call


async def test_violations_reach_the_rest_client(tmp_path):
    descriptors = tmp_path / "ruled.binpb"
    descriptors.write_bytes(ruled.encoded())
    async with ruled.orders() as (service, _):
        source = Source(
            backend=service.address, descriptors=(str(descriptors),), settings=Settings(access_log=False)
        )
        gateway = Gateway(await load(source))
        gateway.open()
        try:
            response = await call(gateway, "POST", "/orders", body=b'{"buyer": "x", "items": [{"sku": "a"}]}')
            accepted = await call(gateway, "POST", "/orders", body=b'{"buyer": "me"}')
        finally:
            await gateway.close()

    assert 400 == response.status
    assert 3 == response.json["code"]
    assert "buyer: must be at least 2 characters (and 1 more)" == response.json["message"]
    (bad,) = response.json["details"]
    assert "type.googleapis.com/google.rpc.BadRequest" == bad["@type"]
    assert [
        {"field": "buyer", "description": "must be at least 2 characters", "reason": "STRING_MIN_LEN"},
        {"field": "items[0]", "description": "a free item is no item", "reason": "ITEM_CHEAP"},
    ] == bad["fieldViolations"]
    assert (200, 1) == (accepted.status, service.placed)
