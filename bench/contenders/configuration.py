"""The mesh.yaml that a user of the benchmark's services would write: where each is, and a gateway, with defaults unless told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench import stubs


def write(config: Path, backends: Mapping[str, str], gateway: str = "{}") -> None:
    lines = [f'descriptors: ["{stubs.DESCRIPTORS}"]', "services:"]
    for service, address in backends.items():
        lines += [
            f"  - name: {service.lower()}",
            f"    serves: [store.v1.{service}]",
            f'    endpoints: ["{address}"]',
        ]
    config.write_text("\n".join([*lines, f"gateway: {gateway}", ""]))
