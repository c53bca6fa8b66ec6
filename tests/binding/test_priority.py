"""A request is as important at the last hop as it was at the first."""

from __future__ import annotations

import pytest

import mesh
from gateway.edge.header import matcher

from .node import GET, running, runtime

ON = "defaults: {priority: {}}"


@pytest.mark.parametrize(
    ("policies", "metadata", "expected"),
    [
        (ON, (), "normal"),
        (ON, (("mesh-priority", "low"),), "low"),
        ("defaults: {priority: {default: PRIORITY_LEVEL_HIGH}}", (), "high"),
        ("", (("mesh-priority", "low"),), None),
    ],
)
async def test_the_last_hop_hears_what_the_first_caller_said(policies, metadata, expected):
    heard = []
    async with (
        running(2, using=runtime(policies)) as [front, back],
        mesh.channel(back.address, using=runtime(policies)) as onward,
        mesh.channel(front.address, using=runtime(policies)) as channel,
    ):

        async def forward(request, context):
            return await onward.unary_unary(GET)(request)

        async def listen(request, context):
            heard.append(dict(context.invocation_metadata()).get("mesh-priority"))
            return b""

        front.answer, back.answer = forward, listen
        await channel.unary_unary(GET)(b"", metadata=metadata)

    assert [expected] == heard


@pytest.mark.parametrize("pattern", ["mesh-priority", "mesh-*", "*"])
def test_nobody_outside_says_how_important_he_is(pattern):
    """Whatever an operator lists, the gateway lets no `mesh-` header in."""
    assert not matcher([pattern])("mesh-priority")
