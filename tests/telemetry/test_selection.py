"""Both engines honour the filters of opentelemetry-instrumentation-grpc and its variable."""

from __future__ import annotations

import pytest
from opentelemetry.instrumentation.grpc import filters

from mesh.telemetry.selection import Selection, excluded_services

METHOD = "/shop.v1.Catalog/GetProduct"


@pytest.mark.parametrize(
    ("filter_", "selected"),
    [
        (filters.method_name("GetProduct"), True),
        (filters.method_name("Get"), False),
        (filters.method_prefix("Get"), True),
        (filters.full_method_name(METHOD), True),
        (filters.service_name("shop.v1.Catalog"), True),
        (filters.service_prefix("shop."), True),
        (filters.health_check(), False),
        (filters.negate(filters.health_check()), True),
        (filters.all_of(filters.service_prefix("shop."), filters.method_name("List")), False),
        (filters.any_of(filters.service_prefix("x"), filters.method_name("GetProduct")), True),
    ],
)
def test_the_packages_filters_select_methods(filter_, selected):
    assert Selection(filter_).selects(METHOD) is selected


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("", set()),
        ("a.B", {"a.B"}),
        (" a.B , c.D,", {"a.B", "c.D"}),
    ],
)
def test_excluded_services_are_separated_by_commas(value, names):
    assert excluded_services({"OTEL_PYTHON_GRPC_EXCLUDED_SERVICES": value}) == names
    assert excluded_services({}) == set()


def test_an_excluded_service_is_excluded_whatever_the_filter_says():
    selection = Selection(filters.method_name("GetProduct"), frozenset({"shop.v1.Catalog"}))

    assert not selection.selects(METHOD)
    assert selection.selects("/shop.v1.CatalogAdmin/GetProduct")
