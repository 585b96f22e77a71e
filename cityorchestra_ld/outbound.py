"""Open connections to public addresses only: what a mapping, a partner or a query names must not reach our own network."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final
from urllib.parse import SplitResult, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util.connection import create_connection

from cityorchestra_ld.errors import Place, SourceError, Text

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """
    Tell whether an IP address is reachable on the public Internet, whatever it is wrapped in.

    >>> is_public("93.184.216.34"), is_public("::ffff:127.0.0.1"), is_public("100.64.0.1"), is_public("169.254.169.254")
    (True, False, False, False)
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.teredo is not None:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def check_url(url: str) -> SplitResult:
    """Take an address apart; raise SourceError when it is not http(s), has credentials or no host."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        parts, known = urlsplit(""), False
    if not known or parts.username or parts.password:
        raise SourceError(
            Text(
                "Cette adresse n’est pas acceptée : il faut http:// ou https://, un nom d’hôte et aucun mot de passe.",
                "This address is not accepted: it takes http:// or https://, a host name and no password.",
            ),
            place=Place(file=shown(parts) if known else url[:80]),
        )
    return parts


def shown(parts: SplitResult) -> str:
    """Write an address for people, without its query, which may hold a secret."""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def public_addresses(host: str, port: int) -> list[str]:
    """Resolve a host; raise SourceError when any of its addresses is private, and OSError when it has none."""
    found = [str(info[4][0]) for info in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)]
    for address in found:
        if not is_public(address):
            raise SourceError(
                Text(
                    f"« {host} » mène à {address}, une adresse de réseau privé : refusé.",
                    f"'{host}' leads to {address}, an address of a private network: refused.",
                ),
                hint=Text("Donnez le fichier par son chemin (path).", "Give the file by its path."),
            )
    return list(dict.fromkeys(found))


def _connect(connection: HTTPConnection) -> socket.socket:
    """Connect to an address that was checked, so that a name cannot change between the check and the use."""
    error: OSError | None = None
    try:
        addresses = public_addresses(connection.host, connection.port)
    except (OSError, UnicodeError) as unknown:
        raise NewConnectionError(connection, f"host not found: {unknown}") from unknown
    for address in addresses:
        try:
            return create_connection(
                (address, connection.port),
                connection.timeout,
                source_address=connection.source_address,
                socket_options=connection.socket_options,
            )
        except OSError as refused:
            error = refused
    raise NewConnectionError(connection, f"no connection: {error}") from error


class _GuardedHTTP(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _GuardedHTTPS(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class GuardedHTTPPool(HTTPConnectionPool):
    """Connections over http to public addresses."""

    ConnectionCls = _GuardedHTTP


class GuardedHTTPSPool(HTTPSConnectionPool):
    """Connections over https to public addresses."""

    ConnectionCls = _GuardedHTTPS
