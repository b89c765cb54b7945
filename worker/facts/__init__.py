"""Facts: what only this host's kernel knows. Reads, and probes features in a throw-away namespace; changes nothing that lasts."""

from .features import Features
from .observe import observe_facts

__all__ = ["Features", "observe_facts"]
