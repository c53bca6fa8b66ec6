"""Who the client is when proxies are in front: what `Forwarded` and `X-Forwarded-*` say, as far as it is believed.

Each proxy adds the address it was called from at the right. So the list is walked from the right, beginning with
whoever is connected: as long as an address is a trusted proxy's, what it added is true. The first that is not is the
client; what is left of it the client has made up itself.

    X-Forwarded-For: 1.1.1.1, 203.0.113.9, 10.0.0.2        connected: 10.0.0.1, trusted: 10.0.0.0/8
                     made up  the client   a proxy
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from gateway.edge.host import is_host
from gateway.problem import RequestProblem

NAMES: Final = frozenset(
    {"forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"}
)
"""Headers that are never handed on as they came: backends get what is believed of them, where the operator lists them."""

_SCHEMES: Final = frozenset({"http", "https"})
_MOST_KNOWN: Final = 4096
# RFC 7239, 4: "forwarded-pair = token "=" value; value = token / quoted-string". Addresses with a colon should be quoted
# and often are not.
_PAIR: Final = re.compile(
    r"[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\",;=]+)))?[ \t]*([;,]|$)"
)
_ESCAPED: Final = re.compile(r"\\(.)")


class Caller(NamedTuple):
    """Whom a request comes from."""

    addresses: tuple[str, ...]
    """From the client to whoever is connected."""
    scheme: str = ""
    """`http` or `https`, as the client used it; empty where no proxy says."""
    host: str = ""
    """As the client used it; empty where no proxy says."""

    @property
    def client(self) -> str:
        return self.addresses[0]

    def metadata(self, names: Iterable[str], scheme: str, host: str) -> list[tuple[str, str]]:
        """Return these headers as backends may believe them; `scheme` and `host` are those of the request itself."""
        scheme, host = self.scheme or scheme, self.host or host
        said = {
            "forwarded": _write(self.addresses, scheme, host),
            "x-forwarded-for": ", ".join(self.addresses),
            "x-forwarded-proto": scheme,
            "x-forwarded-host": host,
            "x-real-ip": self.client,
        }
        return [(name, said[name]) for name in names if said[name]]


class _Hop(NamedTuple):
    """What one proxy says of the request it was sent."""

    address: str | None
    scheme: str
    host: str


class Proxies:
    """The trusted networks."""

    __slots__ = ("_known", "_networks")

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)
        self._known: dict[str, bool] = {}

    def trusts(self, address: str) -> bool:
        """Whether an address is a trusted proxy's."""
        known = self._known.get(address)
        if known is None:
            parsed = _parse(address)
            known = parsed is not None and any(parsed in network for network in self._networks)
            if len(self._known) < _MOST_KNOWN:
                self._known[address] = known
        return known

    def read(self, peer: str, headers: Sequence[tuple[bytes, bytes]]) -> Caller:
        """Return who sent a request that came from `peer`; raise RequestProblem for what cannot be understood."""
        if not self.trusts(peer):
            return Caller((_plain(peer),))
        said: dict[str, list[str]] = {}
        for raw, value in headers:
            name = raw.decode("latin-1").lower()
            if name in NAMES:
                said.setdefault(name, []).append(value.decode("latin-1"))
        standard = self._walk(peer, read_forwarded(", ".join(said.get("forwarded", ()))))
        usual = self._walk(
            peer, _read_usual(*(_items(said.get(f"x-forwarded-{part}")) for part in ("for", "proto", "host")))
        )
        if "forwarded" not in said:
            return usual
        if "x-forwarded-for" in said and standard.client != usual.client:
            # A proxy that knows only one of them passes on the other as its client has written it.
            text = "headers forwarded and x-forwarded-for name different clients: the proxy must send one of them only"
            raise RequestProblem(text)
        return standard

    def _walk(self, peer: str, hops: list[_Hop]) -> Caller:
        addresses, scheme, host = [_plain(peer)], "", ""
        while hops and self.trusts(addresses[0]):
            hop = hops.pop()
            scheme, host = hop.scheme or scheme, hop.host or host
            if hop.address is None:
                break
            addresses.insert(0, hop.address)
        return Caller(tuple(addresses), scheme, host)

    def __repr__(self) -> str:
        return f"<Proxies {', '.join(map(str, self._networks))}>"


def read_forwarded(value: str) -> list[_Hop]:
    """Read a `Forwarded` header, RFC 7239; raise RequestProblem for anything else."""
    hops: list[_Hop] = []
    pairs: dict[str, str] = {}
    position = 0
    while position < len(value):
        found = _PAIR.match(value, position)
        name = "" if found is None else (found[1] or "").lower()
        # "Each parameter MUST NOT occur more than once per field-value." - RFC 7239, 4
        if found is None or (name and name in pairs):
            text = f'header forwarded: "{value[position:][:40]}" is not what RFC 7239 describes'
            raise RequestProblem(text)
        if name:
            pairs[name] = found[3] if found[2] is None else _ESCAPED.sub(r"\1", found[2])
        position = found.end()
        if found[4] != ";":
            if pairs:
                hops.append(_hop(pairs.get("for", ""), pairs.get("proto", ""), pairs.get("host", "")))
            pairs = {}
    return hops


def _read_usual(addresses: list[str], schemes: list[str], hosts: list[str]) -> list[_Hop]:
    """Read the `X-Forwarded-*` headers. Where a list is not as long as that of the addresses, its last entry holds."""
    return [
        _hop(address, _matching(schemes, index, addresses), _matching(hosts, index, addresses))
        # A proxy may say only how it was called.
        for index, address in enumerate(addresses or ([""] if schemes or hosts else []))
    ]


def _matching(values: list[str], index: int, addresses: list[str]) -> str:
    if not values:
        return ""
    return values[index] if len(values) == len(addresses) else values[-1]


def _items(values: list[str] | None) -> list[str]:
    return [item.strip() for item in ",".join(values).split(",")] if values else []


def _hop(address: str, scheme: str, host: str) -> _Hop:
    # "_hidden" and "unknown" (RFC 7239, 6.2 and 6.3) are nobody: whoever said so is the last that is known.
    parsed = _parse(_without_port(address))
    scheme = scheme.lower()
    return _Hop(
        None if parsed is None else str(parsed),
        scheme if scheme in _SCHEMES else "",
        host if host.isascii() and is_host(host.encode()) else "",
    )


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    # What a socket for both protocols says of an IPv4 client: ::ffff:192.0.2.1.
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _plain(peer: str) -> str:
    parsed = _parse(peer)
    return peer if parsed is None else str(parsed)


def _write(addresses: Sequence[str], scheme: str, host: str) -> str:
    """Write a `Forwarded` header; the last address is whoever is connected to the gateway."""
    # RFC 7239, 6: "an IPv6 address is always enclosed in square brackets", and quoted for its colons.
    nodes = [f'for="[{address}]"' if ":" in address else f"for={address}" for address in addresses]
    nodes[0] += (f";proto={scheme}" if scheme else "") + (f';host="{host}"' if host else "")
    return ", ".join(nodes)
