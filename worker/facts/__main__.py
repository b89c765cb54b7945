"""``python -m worker.facts``: the facts that anybody may read, as JSON.

The worker's own look needs root and comes later; the first start needs to know, before there is a worker, which ranges of addresses
are taken. ``manage.py bootstrap`` asks this program.
"""

from __future__ import annotations

import json
import sys

from .features import readable_features
from .observe import observe_facts

if __name__ == "__main__":
    json.dump(observe_facts(readable_features).to_json(), sys.stdout)
