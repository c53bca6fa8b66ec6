"""The environment as the processes that `mesh up` starts see it: every started service at its chosen addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml
from google.protobuf import json_format

from mesh.config.address import Address
from mesh.config.spec import Environment
from mesh.v1 import config_pb2


def resolve(
    environment: Environment,
    endpoints: Mapping[str, Sequence[Address]],
    gateway_listen: Address | None = None,
) -> str:
    """Return the environment as text of the same schema, with started services as endpoints and absolute paths."""
    proto = config_pb2.Environment()
    proto.CopyFrom(environment.proto)
    proto.name = environment.name
    for service in proto.services:
        if service.name in endpoints:
            for name in ("command", "instances", "directory", "environment", "after", "start_timeout"):
                service.ClearField(name)
            service.endpoints[:] = map(str, endpoints[service.name])
    proto.descriptors[:] = map(str, environment.descriptors)
    if gateway_listen is not None:
        proto.gateway.listen = str(gateway_listen)
    # YAML, not JSON: YAML takes no control characters and no surrogate pairs, which JSON may hold.
    tree = json_format.MessageToDict(proto, preserving_proto_field_name=True)
    return str(yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False))
