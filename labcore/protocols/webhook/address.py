"""Where a delivery may go: the guard against requests forged through us (SSRF). Pure.

A URL is judged by its spelling here, and each address its name resolves to by `refusal`; whoever
connects must connect to an address that was judged, or a name could be rebound in between.

Source: OWASP, "Server-Side Request Forgery Prevention Cheat Sheet"; the IANA special-purpose address
registries (RFC 6890); RFC 6052 and RFC 3056 for IPv4 addresses inside of IPv6 ones.
"""

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from labcore.kernel import RefusedError, UsageError

Address = IPv4Address | IPv6Address

PORTS: Final = frozenset({80, 443, 8080, 8443})
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_TRANSLATED: Final = (
    IPv6Network("64:ff9b::/96"),  # RFC 6052
    IPv6Network("64:ff9b:1::/48"),  # RFC 8215
)
_SHARED: Final = ip_network("100.64.0.0/10")  # RFC 6598, carriers' own
_METADATA: Final = frozenset({ip_address("169.254.169.254"), ip_address("fd00:ec2::254")})


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL that may be tried, and what has to be resolved for it."""

    url: str
    host: str
    port: int
    excepted: bool  # the lab's own receiver, named by host and port


def destination(
    url: str,
    *,
    schemes: Collection[str] = ("https",),
    ports: Collection[int] = PORTS,
    exceptions: Collection[tuple[str, int]] = (),
) -> Destination:
    """A partner's URL, judged by its spelling.

    Args:
        url: as the partner registered it.
        schemes: those allowed.
        ports: those allowed.
        exceptions: (host, port) pairs that may be private: the lab's own receivers, by name.

    Raises:
        UsageError: it is no URL.
        RefusedError: scheme, port, credentials or a literal address that is not allowed.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise UsageError(f"{url!r} is no URL: {exc}") from exc
    if not host or any(char.isspace() or ord(char) < 33 for char in url):
        raise UsageError(f"{url!r} is no URL with a host")
    if parts.username is not None or parts.password is not None:
        raise RefusedError("a webhook URL must not carry credentials")
    port = DEFAULT_PORTS.get(parts.scheme, 0) if port is None else port
    excepted = (host, port) in exceptions
    if parts.scheme not in schemes and not (excepted and parts.scheme in DEFAULT_PORTS):
        raise RefusedError(f"scheme {parts.scheme!r} is not allowed; {', '.join(schemes)} is")
    if port not in ports and not excepted:
        allowed = ", ".join(map(str, sorted(ports)))
        raise RefusedError(f"port {port} is not allowed; these are: {allowed}")
    literal = _literal(host)
    if literal is not None and not excepted and (why := refusal(literal)):
        raise RefusedError(f"{host} is {why}; a webhook goes to a public address")
    return Destination(url, host, port, excepted)


def refusal(address: Address) -> str | None:
    """Why a delivery must not go there, or None for a public address.

    IPv4 addresses inside of IPv6 ones (mapped, 6to4, Teredo, NAT64) are judged as what they are.
    """
    if address in _METADATA:
        return "a cloud's metadata service"
    inner = _embedded(address)
    if inner is not None:
        why = refusal(inner)
        return None if why is None else f"{why} inside of IPv6"
    for flag, why in (
        ("is_unspecified", "the unspecified address"),
        ("is_loopback", "a loopback address"),
        ("is_link_local", "a link-local address"),
        ("is_multicast", "a multicast address"),
        ("is_private", "a private address"),
        ("is_site_local", "a site-local address"),
        ("is_reserved", "a reserved address"),
    ):
        if getattr(address, flag, False):  # site-local is a notion of IPv6 alone
            return why
    if address.version == 4 and address in _SHARED:
        return "a carrier's shared address"
    return None if address.is_global else "not a public address"


def _embedded(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo:
        return address.teredo[1]
    if any(address in network for network in _TRANSLATED) or int(address) >> 32 == 0:
        low = int(address) & 0xFFFF_FFFF
        return IPv4Address(low) if low > 1 else None  # :: and ::1 speak for themselves
    return None


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
