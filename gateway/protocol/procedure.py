"""Which protocol a request to `/package.Service/Method` speaks: decided by its content type, or its query for GET.

    content type                                             answered by
    application/grpc-web, application/grpc-web-text (+proto)  gRPC-Web, wire form
    application/grpc-web+json, application/grpc-web-text+json gRPC-Web, JSON
    application/proto, application/json                       Connect, unary methods
    application/connect+proto, application/connect+json       Connect, methods with a stream

Where a REST mapping has the same path (`unannotated_methods`), `application/json` is Connect's only with the header
`connect-protocol-version`, and REST answers whatever is not listed. Elsewhere the rest is refused with 415.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.exchange import Exchange
from gateway.problem import RequestProblem
from gateway.protocol.endpoint import Endpoint, RequestHeaders, read_headers
from mesh.call import Call
from mesh.telemetry.durations import Durations

_JSON: Final = b"application/json"
_VERSION: Final = b"connect-protocol-version"


class Procedure:
    """One method by its own name."""

    __slots__ = ("_get", "_post", "_refused", "_rest_get", "_rest_post", "allow")

    def __init__(
        self,
        post: Mapping[bytes, Endpoint],
        get: Endpoint | None,
        refused: Endpoint,
        *,
        rest: frozenset[str],
    ) -> None:
        """Take the endpoints by content type, that of GET if there is one, and the HTTP methods REST has at the path."""
        self._post = post
        self._get = get
        self._refused = refused
        self._rest_post = "POST" in rest
        self._rest_get = "GET" in rest
        self.allow: tuple[str, ...] = ("POST",) if get is None else ("GET", "POST")
        """The HTTP methods it has."""

    def find(self, exchange: Exchange) -> Endpoint | None:
        """Return who answers, having begun; None for a request that is REST's."""
        method = exchange.method
        if method == "POST":
            headers = read_headers(exchange)
            media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
            endpoint = self._post.get(media_type)
            if self._rest_post and (endpoint is None or (media_type == _JSON and _VERSION not in headers)):
                return None
            endpoint = endpoint or self._refused
        elif method in {"GET", "HEAD"} and self._get is not None:
            if self._rest_get and b"connect=v1" not in exchange.scope["query_string"].split(b"&"):
                return None
            endpoint, headers = self._get, read_headers(exchange)
        else:
            return None
        endpoint.begin(exchange, headers)
        return endpoint

    def __repr__(self) -> str:
        return f"<Procedure {', '.join(media_type.decode() for media_type in self._post)}>"


class Unsupported:
    """Answers what has a content type that nobody here reads."""

    __slots__ = ("_accept", "durations", "path")

    def __init__(self, path: str, accept: Sequence[bytes], durations: Durations) -> None:
        self.path = path
        self.durations = durations
        self._accept = b", ".join(accept)

    def begin(self, exchange: Exchange, headers: RequestHeaders) -> None:
        """Do nothing: the refusal is worded as REST's are."""

    async def answer(self, exchange: Exchange, _: Sequence[str], parent: Call) -> None:  # noqa: ARG002 - Endpoint's
        media_type = exchange.content_type.partition(";")[0].strip().lower()
        text = f'content type "{media_type[:80]}" is not supported here: send one of {self._accept.decode()}'
        if media_type.startswith("application/grpc") and not media_type.startswith("application/grpc-web"):
            text += "; plain gRPC has a port of its own"
        # The Linked Data Platform's header (2.1) says which types a POST may have.
        accepted = (b"accept-post", self._accept)
        raise RequestProblem(text, http_status=415, headers=(accepted,))

    def __repr__(self) -> str:
        return f"<Unsupported {self.path}>"
