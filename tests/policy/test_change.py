"""A diff is of what is in force, for the widest scope that it holds for."""

from __future__ import annotations

import pytest

from mesh.policy.change import Change, Method, changes
from mesh.v1 import policy_pb2
from tests.policy.test_table import described, policies

SHOP = "shop.v1.Shop"
METHODS = [Method(SHOP, name) for name in ("Get", "Put", "Buy")]


def diff(old: str, new: str, **options) -> list[tuple[str | None, ...]]:
    found = changes(policies(old), policies(new), METHODS, described(**options))
    return [tuple(change) for change in found]


def of(service: str, policy: str, method: str = "") -> str:
    if method:
        return (
            f"{{services: [{{service: {service}, methods: [{{method: {method}, policy: {{{policy}}}}}]}}]}}"
        )
    return f"{{services: [{{service: {service}, policy: {{{policy}}}}}]}}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", []),
        ("", "defaults: {retry: {max_attempts: 3}}", []),
        (
            "",
            "defaults: {retry: {max_attempts: 4}}",
            [("every method", "retry.max_attempts", "3", "4")],
        ),
        (
            "",
            of(SHOP, "retry: {max_attempts: 4}"),
            [(SHOP, "retry.max_attempts", "3", "4")],
        ),
        (
            "",
            of(SHOP, "retry: {max_attempts: 4}", "Get"),
            [(f"{SHOP}/Get", "retry.max_attempts", "3", "4")],
        ),
        (
            of(SHOP, "retry: {max_attempts: 4}"),
            "defaults: {retry: {max_attempts: 4}}",
            [("every other service", "retry.max_attempts", "3", "4")],
        ),
        (
            of(SHOP, "retry: {max_attempts: 5}", "Get"),
            "{defaults: {retry: {max_attempts: 4}}, " + of(SHOP, "retry: {max_attempts: 5}", "Get")[1:],
            [
                ("every other service", "retry.max_attempts", "3", "4"),
                (f"{SHOP}, other methods", "retry.max_attempts", "3", "4"),
                (f"{SHOP}/Buy", "retry.max_attempts", "3", "4"),
                (f"{SHOP}/Put", "retry.max_attempts", "3", "4"),
            ],
        ),
        (
            "",
            "defaults: {access_log: {scope: ACCESS_LOG_SCOPE_FAILURES}}",
            [
                ("every method", "access_log.enabled", "false", "true"),
                ("every method", "access_log.scope", None, "ACCESS_LOG_SCOPE_FAILURES"),
            ],
        ),
        (
            "defaults: {access_log: {scope: ACCESS_LOG_SCOPE_FAILURES}}",
            "",
            [("every method", "access_log.enabled", "true", "false")],
        ),
        (
            "",
            "defaults: {retry: {enabled: false}}",
            [("every method", "retry.enabled", "true", "false")],
        ),
        (
            "defaults: {fallback: {method: A}}",
            "defaults: {fallback: {response: {}}}",
            [
                ("every method", "fallback.method", "A", None),
                ("every method", "fallback.response", None, "{}"),
            ],
        ),
    ],
)
def test_changes(old, new, expected):
    assert expected == diff(old, new)


def test_what_is_no_longer_written_falls_back_to_the_annotation():
    own = policy_pb2.Policy(retry={"max_attempts": 7})

    assert [("every other service", "retry.max_attempts", "4", "3")] == [
        change
        for change in diff("defaults: {retry: {max_attempts: 4}}", "", Get=own)
        if change[0] == "every other service"
    ]
    assert (f"{SHOP}/Get", "retry.max_attempts", "4", "7") in diff(
        "defaults: {retry: {max_attempts: 4}}", "", Get=own
    )


def test_without_descriptors_the_named_methods_are_compared():
    (change,) = changes(policies(""), policies(of("a.B", "retry: {max_attempts: 4}", "C")))

    assert Change("a.B/C", "retry.max_attempts", "3", "4") == change
