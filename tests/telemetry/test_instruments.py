"""The list of metrics, the documentation and the semantic conventions agree."""

from __future__ import annotations

import re
from pathlib import Path

from opentelemetry.semconv._incubating.attributes import rpc_attributes
from opentelemetry.semconv._incubating.metrics import rpc_metrics
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.semconv.schemas import Schemas

from gateway.edge.metrics import INSTRUMENTS as GATEWAY_INSTRUMENTS
from mesh.telemetry import instruments
from mesh.telemetry.export.prometheus import base_name
from mesh.telemetry.instruments import INSTRUMENTS, Kind
from mesh.telemetry.tracing import SCHEMA

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def row(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def test_the_page_lists_every_metric_as_it_is():
    text = PAGE.read_text(encoding="utf-8")
    rows = [row(line) for line in text.splitlines() if re.match(r"\| `[a-z._]+` \| `[a-z_]+` \|", line)]
    rows = [cells for cells in rows if len(cells) == 6]

    expected = [
        (
            f"`{one.name}`",
            f"`{base_name(one)}{'_total' if one.kind is Kind.COUNTER else ''}`",
            one.kind.value,
            f"`{one.unit}`",
            " ".join(f"`{attribute}`" for attribute in one.attributes),
            one.description,
        )
        for one in (*INSTRUMENTS, *GATEWAY_INSTRUMENTS)
    ]
    assert expected == rows


def test_the_page_lists_the_buckets():
    text = " ".join(PAGE.read_text(encoding="utf-8").split())

    assert f"in seconds: {', '.join(f'{bound:g}' for bound in instruments.SECONDS)}." in text


def test_names_are_those_of_the_semantic_conventions():
    assert instruments.CLIENT_CALL_DURATION.name == rpc_metrics.RPC_CLIENT_CALL_DURATION
    assert instruments.SERVER_CALL_DURATION.name == rpc_metrics.RPC_SERVER_CALL_DURATION
    assert instruments.SYSTEM == rpc_attributes.RPC_SYSTEM_NAME
    assert instruments.METHOD == rpc_attributes.RPC_METHOD
    assert instruments.STATUS_CODE == rpc_attributes.RPC_RESPONSE_STATUS_CODE
    assert instruments.ERROR_TYPE == error_attributes.ERROR_TYPE
    assert SCHEMA in {schema.value for schema in Schemas}


def test_bounds_ascend_and_names_are_unique():
    assert list(instruments.SECONDS) == sorted(set(instruments.SECONDS))
    assert len({one.name for one in INSTRUMENTS}) == len(INSTRUMENTS)
    assert all(bool(one.bounds) == (one.kind is Kind.HISTOGRAM) for one in INSTRUMENTS)
