"""The database: one noun a file."""

from .container import Container, Endpoint, Link, PublishedPort
from .feed import Drift, Event, FeedCounter, Moment, Observation
from .host import Host
from .image import Image
from .network import Lease, Network, Subnet
from .operation import Activity, Operation
from .user import ApiToken, User

__all__ = [
    "Activity",
    "ApiToken",
    "Container",
    "Drift",
    "Endpoint",
    "Event",
    "FeedCounter",
    "Host",
    "Image",
    "Lease",
    "Link",
    "Moment",
    "Network",
    "Observation",
    "Operation",
    "PublishedPort",
    "Subnet",
    "User",
]
