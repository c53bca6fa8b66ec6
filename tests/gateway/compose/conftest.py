"""A shop's descriptors in a pool of their own, and compositions written as text against them."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, text_format
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.compose import Plan, compile_plan
from gateway.compose.spec import read
from gateway.v1 import annotations_pb2
from tests.protoc import compile_protos

HERE = pathlib.Path(__file__).parent


class Shop:
    """The descriptors, and short ways to them."""

    def __init__(self, pool: DescriptorPool, services: dict[str, ServiceDescriptor]) -> None:
        self.pool = pool
        self.services = services

    def new(self, name: str, text: str = "", /, **fields: Any) -> Message:
        """A message of package shop.v1, from text or from fields."""
        message = GetMessageClass(self.pool.FindMessageTypeByName(f"shop.v1.{name}"))(**fields)
        return text_format.Parse(text, message, descriptor_pool=self.pool)

    def compile(self, text: str, method: str = "GetPage") -> tuple[Plan | None, list[str]]:
        compose = read(text_format.Parse(text, annotations_pb2.Compose()))
        service = self.services["shop.v1.StorefrontService"]
        plan, problems = compile_plan(service.methods_by_name[method], compose, self.services)
        return plan, [str(problem) for problem in problems]

    def plan(self, text: str, method: str = "GetPage") -> Plan:
        plan, problems = self.compile(text, method)
        assert plan is not None, problems
        return plan

    def problems(self, text: str, method: str = "GetPage") -> list[str]:
        """What is wrong, without the part of the path that all have in common."""
        plan, problems = self.compile(text, method)
        assert plan is None
        common = f"shop.v1.StorefrontService.{method} (gateway.v1.compose)"
        assert all(problem.startswith(common) for problem in problems)
        return [problem.removeprefix(common).removeprefix(".") for problem in problems]


@pytest.fixture(scope="session")
def shop() -> Shop:
    pool = DescriptorPool()
    services: dict[str, ServiceDescriptor] = {}
    for file in descriptor_pb2.FileDescriptorSet.FromString(compile_protos(HERE / "protos")).file:
        pool.Add(file)
        found = pool.FindFileByName(file.name).services_by_name.values()
        services.update({service.full_name: service for service in found})
    return Shop(pool, services)
