"""A Compose file as a file of the desired state, with what could not be taken over said item by item. Pure.

Written against the Compose specification (compose-spec.io); the names of keys are its own.
"""

from .convert import Conversion, convert
from .interpolate import read_variables
from .notes import Note

__all__ = ["Conversion", "Note", "convert", "read_variables"]
