"""What a process's Prometheus page says, as numbers that can be added and compared."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from mesh.config.address import Address
from mesh.up import http

CALLS = "rpc_client_call_duration_seconds_count"
ATTEMPTS = "grpc_client_attempt_duration_seconds_count"
REJECTIONS = "mesh_client_rejections_total"
ACTIVE = "mesh_client_active_calls"
CIRCUIT = "mesh_client_circuit_breaker_state"
HANDLED = "rpc_server_call_duration_seconds_count"
CLOSED, HALF_OPEN, OPEN = 0.0, 1.0, 2.0


class Page:
    """One scrape."""

    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self._samples = [sample for family in families for sample in family.samples]

    def total(self, name: str, method: str, **labels: str) -> float:
        """Return the sum of a metric over all series of a method that have these labels."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name
            and method in (sample.labels.get("rpc_method"), sample.labels.get("grpc_method"))
            and labels.items() <= sample.labels.items()
        )


async def scrape(port: int) -> Page:
    answer = await http.get(Address("127.0.0.1", port), "/metrics", timeout=10.0)
    assert answer is not None
    assert answer.status == 200
    return Page(answer.body)
