"""TLS on both ports: the protocols that ALPN offers, the oldest version, a certificate that is renewed under load."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography import x509

from tests.binding.certificate import Authority
from tests.gateway.server.process import until

pytestmark = pytest.mark.slow

LOOPBACK = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


class Pair:
    """A server's certificate in files, renewed as an operator's tools do it."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        self.certificate, self.key = folder / "server.pem", folder / "server.key"
        self.root = folder / "root.pem"
        self.root.write_bytes(self.authority.root)
        self.renew("first")

    def renew(self, name: str) -> None:
        pair = self.authority.issue(name, LOOPBACK)
        for file, text in zip((self.key, self.certificate), pair, strict=True):
            beside = file.with_suffix(".new")
            beside.write_bytes(text)
            os.replace(beside, file)

    @property
    def settings(self) -> str:
        return f"{{certificate: {self.certificate}, private_key: {self.key}}}"


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def shown(port: int, pair: Pair, **limits: Any) -> tuple[str, str | None, str | None]:
    """Return whose certificate a server shows, the TLS version, and the protocol that ALPN chose."""
    context = ssl.create_default_context(cafile=str(pair.root))
    context.set_alpn_protocols(limits.pop("protocols", ["h2", "http/1.1"]))
    for name, value in limits.items():
        setattr(context, name, value)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        subject = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"").subject
        return str(subject.rdns[0].rfc4514_string()), secure.version(), secure.selected_alpn_protocol()


def test_https_and_grpc_with_one_certificate(start, environment, pair):
    gateway = start("gateway", "--config", environment(tls=pair.settings, grpc_listen="127.0.0.1:0"))
    port = gateway.port
    assert shown(port, pair) == ("CN=first", "TLSv1.3", "h2")
    assert shown(port, pair, protocols=["http/1.1"])[2] == "http/1.1"
    assert shown(port, pair, maximum_version=ssl.TLSVersion.TLSv1_2)[1] == "TLSv1.2"
    for http2 in (False, True):
        with httpx.Client(verify=ssl.create_default_context(cafile=str(pair.root)), http2=http2) as client:
            response = client.get(f"https://127.0.0.1:{port}/v1/books/one")
        assert (response.status_code, response.http_version) == (200, "HTTP/2" if http2 else "HTTP/1.1")
    credentials = grpc.ssl_channel_credentials(pair.authority.root)
    with grpc.secure_channel(gateway.place("gRPC"), credentials) as channel:
        answer = channel.unary_unary("/library.v1.LibraryService/GetBook")(b"\n\x03one", timeout=10)
    assert b"Title of one" in answer
    gateway.signal()
    assert gateway.end() == 0
    assert {line["protocol"] for line in gateway.log} == {"rest", "grpc"}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1])
def test_older_versions_are_refused(start, environment, pair, version):
    port = start("gateway", "--config", environment(tls=pair.settings)).port
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain)


def test_a_renewed_certificate_is_shown_and_no_request_fails(start, environment, pair):
    gateway = start("gateway", "--config", environment(tls=pair.settings, grpc_listen="127.0.0.1:0"))
    url = f"https://127.0.0.1:{gateway.port}/v1/books/one"
    answered: list[int] = []
    failed: list[Exception] = []
    done = threading.Event()

    def load() -> None:
        with httpx.Client(verify=ssl.create_default_context(cafile=str(pair.root)), timeout=10) as client:
            while not done.is_set():
                try:
                    answered.append(client.get(url).status_code)
                except httpx.HTTPError as error:
                    failed.append(error)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(answered) > 20)
    for name in ("second", "third"):
        pair.renew(name)
        until(lambda name=name: shown(gateway.port, pair)[0] == f"CN={name}")
        before = len(answered)
        until(lambda before=before: len(answered) > before + 50)
    done.set()
    for thread in threads:
        thread.join(20)
    assert (failed, set(answered)) == ([], {200})
    port = int(gateway.place("gRPC").rpartition(":")[2])
    assert shown(port, pair, protocols=["h2"])[0] == "CN=third"
    gateway.signal()
    assert gateway.end() == 0


def test_a_certificate_that_cannot_be_shown_is_refused_at_the_start(start, environment, pair):
    pair.key.write_text("nothing")
    gateway = start("gateway", "--config", environment(tls=pair.settings))
    assert gateway.end() == 2
    assert gateway.lines == [f'gateway.tls.private_key: "{pair.key}" is not PEM']


def test_one_command_serves_tls_grpc_and_the_admin_port(start, backend_address, pair):
    gateway = start(
        *("mesh", "gateway", "--backend", backend_address, "--listen", "127.0.0.1:0"),
        *("--grpc-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"),
        *("--tls-certificate", str(pair.certificate), "--tls-key", str(pair.key)),
    )
    assert shown(gateway.port, pair)[0] == "CN=first"
    assert gateway.place("gRPC")
    with socket.create_connection(("127.0.0.1", int(gateway.place("admin").rpartition(":")[2])), 10):
        pass
    gateway.signal()
    assert gateway.end() == 0


def test_a_certificate_without_its_key_is_a_mistake(start, backend_address, pair):
    gateway = start(
        "mesh", "gateway", "--backend", backend_address, "--tls-certificate", str(pair.certificate)
    )
    assert gateway.end() == 2
    assert "--tls-certificate and --tls-key belong together" in gateway.lines[-1]
