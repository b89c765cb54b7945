"""Rows as the JSON that REST, the feed and the pages show: one shape for all faces.

The functions read related rows through the default managers; a caller that describes many objects passes a queryset from
:func:`prepared`, which fetches what they need in a constant number of queries.
"""

from .containers import container, exec_session, image, sandbox_of
from .endpoints import endpoint, link, port
from .hosts import association, host, is_alive, join_token, silent_hosts
from .networks import BRIDGE_NAME, bridge_of, network
from .people import token, user
from .related import again, prepared
from .snapshot import DESCRIBERS, SINGLE_ROWS, counts, current, everything, of, read
from .values import Json
from .work import activity, capture, drift, moment, operation

__all__ = [
    "BRIDGE_NAME",
    "DESCRIBERS",
    "SINGLE_ROWS",
    "Json",
    "activity",
    "again",
    "association",
    "bridge_of",
    "capture",
    "container",
    "counts",
    "current",
    "drift",
    "endpoint",
    "everything",
    "exec_session",
    "host",
    "image",
    "is_alive",
    "join_token",
    "link",
    "moment",
    "network",
    "of",
    "operation",
    "port",
    "prepared",
    "read",
    "sandbox_of",
    "silent_hosts",
    "token",
    "user",
]
