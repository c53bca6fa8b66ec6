"""What is read from a metrics page, and what the rows say: rates, shares and times from counters."""

from mesh.up import scrape
from mesh.up.measure import Row
from mesh.up.scrape import Sample
from mesh.up.table import line

INF = float("inf")

PAGE = """\
# HELP rpc_server_call_duration_seconds How long calls took to handle.
# TYPE rpc_server_call_duration_seconds histogram
rpc_server_call_duration_seconds_bucket{rpc_method="shop.v1.A/Get",rpc_response_status_code="OK",le="0.01"} 6
rpc_server_call_duration_seconds_bucket{rpc_method="shop.v1.A/Get",rpc_response_status_code="OK",le="+Inf"} 8
rpc_server_call_duration_seconds_count{rpc_method="shop.v1.A/Get",rpc_response_status_code="OK"} 8
rpc_server_call_duration_seconds_sum{rpc_method="shop.v1.A/Get",rpc_response_status_code="OK"} 0.5
rpc_server_call_duration_seconds_bucket{rpc_method="shop.v1.A/Get",rpc_response_status_code="INTERNAL",le="0.01"} 1
rpc_server_call_duration_seconds_bucket{rpc_method="shop.v1.A/Get",rpc_response_status_code="INTERNAL",le="+Inf"} 1
rpc_server_call_duration_seconds_count{rpc_method="shop.v1.A/Get",rpc_response_status_code="INTERNAL"} 1
rpc_server_call_duration_seconds_count{rpc_method="shop.v1.A/Get",rpc_response_status_code="NOT_FOUND"} 1
rpc_server_call_duration_seconds_count{rpc_method="grpc.health.v1.Health/Check",rpc_response_status_code="OK"} 99
rpc_client_call_duration_seconds_count{rpc_method="shop.v1.B/Get",rpc_response_status_code="INTERNAL"} 99
process_cpu_seconds_total 1.5
"""


def test_counts_calls_handled_and_those_that_are_the_services_fault():
    assert scrape.read(PAGE) == Sample(calls=10.0, failures=1.0, buckets={0.01: 7.0, INF: 9.0})


def test_counts_the_gateways_requests():
    page = 'http_server_request_duration_seconds_count{http_route="/a",http_response_status_code="503"} 2\n'
    page += 'http_server_request_duration_seconds_count{http_route="/a",http_response_status_code="404"} 3\n'

    assert scrape.read(page) == Sample(calls=5.0, failures=2.0)


def test_a_page_of_anything_is_no_calls():
    assert scrape.read('<html>{} 3\nx{a="b"} c') == Sample()


def test_what_happened_between_two_samples():
    old, new = Sample(10.0, 1.0, {0.1: 5.0, INF: 10.0}), Sample(15.0, 3.0, {0.1: 7.0, 0.2: 1.0, INF: 15.0})

    assert scrape.between(old, new) == Sample(5.0, 2.0, {0.1: 2.0, 0.2: 1.0, INF: 5.0})


def test_a_process_that_was_started_again_counts_from_zero():
    assert scrape.between(Sample(10.0), Sample(4.0, 1.0)) == Sample(4.0, 1.0)


def test_adds_processes_with_different_buckets():
    one, other = Sample(1.0, 0.0, {0.1: 1.0}), Sample(2.0, 1.0, {0.1: 1.0, INF: 2.0})

    assert scrape.add(one, other) == Sample(3.0, 1.0, {0.1: 2.0, INF: 2.0})


def test_quantiles_are_spread_evenly_within_a_bucket():
    sample = Sample(buckets={0.1: 10.0, 0.2: 20.0, INF: 20.0})

    assert scrape.quantile(sample, 0.25) == 0.05
    assert round(scrape.quantile(sample, 0.75), 6) == 0.15


def test_a_quantile_beyond_the_last_bucket_is_its_edge():
    assert scrape.quantile(Sample(buckets={0.1: 1.0, INF: 10.0}), 0.99) == 0.1


def test_without_calls_there_is_no_quantile():
    assert scrape.quantile(Sample(), 0.5) is None
    assert scrape.quantile(Sample(buckets={0.1: 0.0, INF: 0.0}), 0.5) is None


def test_a_line_says_what_is_known():
    rows = [
        Row("catalog", 2, 2, 12.34, 1.0, 0.0012, 0.0034, 0),
        Row("stock", 0, 1, None, None, None, None, 3),
        Row("mail", 0, 0, None, None, None, None, 0),
        Row("cart", 1, 1, 5.0, 0.99999, 0.001, 0.002, 0),
    ]

    assert line(rows) == (
        "catalog 2/2 12.3/s 100% p50 1.2 ms p99 3.4 ms; stock 0/1; mail elsewhere; "
        "cart 1/1 5.0/s 99.99% p50 1.0 ms p99 2.0 ms"
    )
