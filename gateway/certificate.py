"""Which certificate the gateway shows: the files of its settings, read again when they change and fit together."""

from __future__ import annotations

import logging
import ssl
from typing import Final

import grpc

from mesh.config.edge import ServerTls
from mesh.config.watch import FileWatch
from mesh.policy.problem import Problem

_log = logging.getLogger("mesh")

_PATH: Final = "gateway.tls"


def check(tls: ServerTls) -> list[Problem]:
    """Return what is wrong with the files."""
    problems = []
    for name, file in (("certificate", tls.certificate), ("private_key", tls.private_key)):
        try:
            content = file.read_bytes()
        except OSError as error:
            problems.append(Problem(f"{_PATH}.{name}", f'"{file}" cannot be read: {error.strerror}'))
        else:
            if b"-----BEGIN " not in content:
                problems.append(Problem(f"{_PATH}.{name}", f'"{file}" is not PEM'))
    if problems:
        return problems
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            tls.certificate, tls.private_key, _no_password
        )
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        text = f'"{tls.certificate}" and "{tls.private_key}" do not make a certificate: {reason}'
        problems.append(Problem(_PATH, text))
    return problems


def _no_password() -> str:
    raise ValueError("the private key is encrypted; give one that is not")


class Certificate:
    """The files of one server, as they were last found right."""

    def __init__(self, tls: ServerTls) -> None:
        """Read files that `check` has found right."""
        self._tls = tls
        self._watches = (FileWatch(tls.certificate), FileWatch(tls.private_key))
        self._pair = self._read()
        self._version = 0

    def changed(self) -> bool:
        """Look at the files; return whether there is a new certificate. What is wrong with one is logged."""
        # Both are asked, whatever the first one says.
        changes = [watch.changed() for watch in self._watches]
        if not any(changes):
            return False
        problems = check(self._tls)
        for problem in problems:
            _log.error("%s; the certificate before it is shown on", problem)
        if problems:
            return False
        self._pair = self._read()
        self._version += 1
        return True

    def _read(self) -> tuple[bytes, bytes]:
        return self._tls.private_key.read_bytes(), self._tls.certificate.read_bytes()

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials for a gRPC server, whose new connections are shown the newest certificate."""
        shown = self._version

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal shown
            if shown == self._version:
                return None
            shown = self._version
            return grpc.ssl_server_certificate_configuration([self._pair])

        first = grpc.ssl_server_certificate_configuration([self._pair])
        return grpc.dynamic_ssl_server_credentials(first, renewed)  # type: ignore[arg-type]  # None: as before

    def __repr__(self) -> str:
        return f"<Certificate {self._tls.certificate} version {self._version}>"
