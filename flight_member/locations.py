"""Where members may answer: hosts as administrators name them, addresses as members report them."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address

from flight_member.errors import BadRequestError

_MAX_PORT = 65_535
ENCRYPTED = "grpc+tls"
_HOST = re.compile(r"[a-z0-9:]([a-z0-9.:-]{0,251}[a-z0-9:])?", re.ASCII)
_LOCATION = re.compile(
    r"(?P<scheme>grpc|grpc\+tls)://(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])"
    r":(?P<port>[0-9]{1,5})",
    re.ASCII,
)


def read_hosts(hosts: Sequence[str]) -> tuple[str, ...]:
    """Return the hosts that an administrator names, folded, each once, in their order.

    Raises:
        BadRequestError: When one is neither a DNS name nor an IP address.
    """
    folded = tuple(dict.fromkeys(fold_host(host) for host in hosts))
    if any(not _HOST.fullmatch(host) for host in folded):
        raise BadRequestError("a host must be a DNS name or an IP address, without a port")
    return folded


@lru_cache(maxsize=4096)
def read_location(uri: str) -> tuple[str, str]:
    """Return the scheme and host of a member's address, which must say nothing else but its port.

    Raises:
        BadRequestError: When it is anything else.
    """
    found = _LOCATION.fullmatch(uri)
    if found is None or int(found["port"]) > _MAX_PORT:
        raise BadRequestError("an address is written grpc://host:port or grpc+tls://host:port")
    return found["scheme"], fold_host(found["host"])


@lru_cache(maxsize=4096)
def fold_host(host: str) -> str:
    """Return a host as it is compared: in lower case, an IP address in its usual spelling."""
    bare = host.strip("[]").lower().removesuffix(".")
    try:
        return str(ip_address(bare))
    except ValueError:
        return bare
