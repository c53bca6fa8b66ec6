"""Every google.api.http rule of github.com/googleapis/googleapis, without the messages: the corpus and how it is made.

`python -m tests.gateway.route.googleapis SET COMMIT` writes it anew from a descriptor set of the repository's protos.
"""

from __future__ import annotations

import gzip
import itertools
import json
import sys
from pathlib import Path
from typing import NamedTuple

from google.api import annotations_pb2, client_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet

FILE = Path(__file__).with_name("googleapis.json.gz")


class Rule(NamedTuple):
    """One HTTP mapping of one method."""

    host: str
    """What the API is served on, where its protos say so, else its service."""
    method: str
    """`google.pubsub.v1.Publisher.Publish`."""
    http_method: str
    template: str
    body: str


def read() -> list[Rule]:
    """Return the corpus, sorted by method; a method's rules in their order."""
    with gzip.open(FILE) as stream:
        services = json.load(stream)["services"]
    return [
        Rule(host or service, f"{service}.{method}", *rule)
        for service, (host, methods) in services.items()
        for method, rules in methods.items()
        for rule in rules
    ]


def by_host(rules: list[Rule]) -> dict[str, list[Rule]]:
    """Return the rules as Google serves them: each host is a gateway of its own."""
    ordered = sorted(rules, key=lambda rule: rule.host)
    return {host: list(group) for host, group in itertools.groupby(ordered, key=lambda rule: rule.host)}


def write(data: bytes, commit: str) -> None:
    """Make the corpus from an encoded descriptor set."""
    services = {}
    for file in FileDescriptorSet.FromString(data).file:
        for service in file.service:
            methods = {}
            for method in service.method:
                if method.options.HasExtension(annotations_pb2.http):
                    rule = method.options.Extensions[annotations_pb2.http]
                    methods[method.name] = [_spelled(one) for one in (rule, *rule.additional_bindings)]
            if methods:
                name = f"{file.package}.{service.name}"
                services[name] = (service.options.Extensions[client_pb2.default_host], methods)
    corpus = {
        "origin": "https://github.com/googleapis/googleapis, Apache-2.0, Copyright Google LLC",
        "commit": commit,
        "services": dict(sorted(services.items())),
    }
    text = json.dumps(corpus, separators=(",", ":")).encode()
    # No time, so that the same set makes the same file.
    FILE.write_bytes(gzip.compress(text, 9, mtime=0))


def _spelled(rule):
    pattern = rule.WhichOneof("pattern")
    kind, path = (
        (rule.custom.kind, rule.custom.path)
        if pattern == "custom"
        else (pattern.upper(), getattr(rule, pattern))
    )
    return kind, path, rule.body


if __name__ == "__main__":
    write(Path(sys.argv[1]).read_bytes(), sys.argv[2])
