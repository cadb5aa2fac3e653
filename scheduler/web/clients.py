"""Which client a request comes from. Its address is counted by, as a keyed hash, and never logged.

It is kept only with what a patient agrees to on a page.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from litestar.connection import ASGIConnection

from scheduler.domain.actors import Browser

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

# Whoever has an IPv6 address has the other 2^64 of its network as well.
_IPV6_CLIENT = 64

# Browsers need about half of it.
_LONGEST_USER_AGENT = 200


def client_of(request: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return the address that tells this request's client from others: an IPv4 address, or an IPv6 network."""
    peer, forwarded = _path_of(request)
    return _name(peer, forwarded, request.app.state.settings.trusted_proxies)


def browser_of(request: ASGIConnection[Any, Any, Any, Any]) -> Browser:
    """Return where a patient's request comes from, for what they may agree to in it."""
    peer, forwarded = _path_of(request)
    said = b"".join(value for name, value in request.scope["headers"] if name == b"user-agent").decode("latin-1")
    user_agent = "".join(filter(str.isprintable, said))[:_LONGEST_USER_AGENT]
    address = find_client(peer, forwarded, request.app.state.settings.trusted_proxies)
    return Browser(address=str(address), user_agent=user_agent)


def _path_of(request: ASGIConnection[Any, Any, Any, Any]) -> tuple[str, str]:
    peer = request.client.host if request.client else ""
    forwarded = b",".join(value for name, value in request.scope["headers"] if name == b"x-forwarded-for")
    return peer, forwarded.decode("latin-1")


# A client comes back, and reading addresses takes longer than remembering them.
@lru_cache(maxsize=1024)
def _name(peer: str, forwarded: str, trusted: Networks) -> str:
    return name_of(find_client(peer, forwarded, trusted))


def find_client(peer: str, forwarded: str, trusted: Networks) -> Address:
    """Return the client's address: the peer's, or where that is a trusted proxy the one that it speaks for.

    ``forwarded`` is X-Forwarded-For, to which every proxy adds at the right whom it heard. So the right-most address
    that is not itself a trusted proxy is the last one that somebody trusted has seen; what is left of it can be made
    up. Where there is none, or something else stands in its place, it is the peer.
    """
    heard = _read_address(peer) or IPv4Address(0)
    if not _is_in(heard, trusted):
        return heard
    for part in reversed(forwarded.split(",")):
        address = _read_address(part)
        if address is None:
            break
        if not _is_in(address, trusted):
            return address
    return heard


def name_of(address: Address) -> str:
    """Return what a client is counted by."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), _IPV6_CLIENT), strict=False))


def _read_address(text: str) -> Address | None:
    """Return an address, or None for anything else. Some proxies add the port: 192.0.2.1:4711 or [2001:db8::1]:4711."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_in(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)
