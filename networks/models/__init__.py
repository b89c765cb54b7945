"""The database: one noun a file."""

from .association import SecurityAssociation
from .capture import Capture
from .container import Container, Endpoint, Link, PublishedPort
from .docker import DockerNetwork
from .exec_session import ExecSession
from .feed import Drift, Event, FeedCounter, Moment, Observation
from .history import Checkpoint, RulesVersion
from .host import Host
from .image import Image
from .join_token import JoinToken
from .network import Lease, Network, Subnet
from .operation import Activity, Operation
from .user import ApiToken, User
from .volume import Volume

__all__ = [
    "Activity",
    "ApiToken",
    "Capture",
    "Checkpoint",
    "Container",
    "DockerNetwork",
    "Drift",
    "Endpoint",
    "Event",
    "ExecSession",
    "FeedCounter",
    "Host",
    "Image",
    "JoinToken",
    "Lease",
    "Link",
    "Moment",
    "Network",
    "Observation",
    "Operation",
    "PublishedPort",
    "RulesVersion",
    "SecurityAssociation",
    "Subnet",
    "User",
    "Volume",
]
