"""Where a call comes from, as the address that failed sign-ins count against."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from flight_sql import Call

UNKNOWN = ""


class Sources:
    """Reads the caller's address, looking through proxies that are trusted with it."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._proxies = [ip_network(text, strict=False) for text in trusted_proxies]

    def of(self, call: Call) -> str:
        """Return the address of a call without its port; `UNKNOWN` in a Handshake.

        A proxy adds the address that it saw to the end of `x-forwarded-for`; whatever stands
        before it, the client may have written itself.
        """
        host = host_of(call.peer)
        forwarded = call.headers.get("x-forwarded-for", "")
        for claimed in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
            if not self._is_proxy(host):
                break
            host = claimed if _is_address(claimed) else host
        return host

    def _is_proxy(self, host: str) -> bool:
        return _is_address(host) and any(ip_address(host) in network for network in self._proxies)


def host_of(peer: str) -> str:
    """Return the address in what gRPC writes: `ipv4:10.0.0.7:40000`, `ipv6:%5B::1%5D:40000`."""
    kind, _, rest = peer.partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return peer
    host = rest.rpartition(":")[0].replace("%5B", "[").replace("%5D", "]")
    return host.strip("[]")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
