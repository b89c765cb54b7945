"""What uvicorn serves."""

import os

from .loading import loading

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnmweb.settings")
with loading():
    from .web import application

__all__ = ["application"]
