"""What fields of the REST API's bodies are called in forms, for refusals that name their field."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from networks.cnm.errors import CnmError
from networks.cnm.text import Text

LABELS = {
    # last part of the field's name: its label
    "container_port": gettext_lazy("Container port"),
    "host_port": gettext_lazy("Host port"),
    "host_port_end": gettext_lazy("Host port"),
    "port": gettext_lazy("Port"),
    "name": gettext_lazy("Name"),
    "subnet": gettext_lazy("Subnet"),
    "network": gettext_lazy("Network"),
    "source": gettext_lazy("Source"),
    "recipient": gettext_lazy("Recipient"),
    "to": gettext_lazy("To"),
    "from": gettext_lazy("From"),
    "gw_priority": gettext_lazy("Gateway priority"),
    "max_retries": gettext_lazy("Tries at most"),
    "stop_timeout": gettext_lazy("Seconds until it is killed"),
    "memory": gettext_lazy("Memory"),
    "cpus": gettext_lazy("CPUs"),
    "pids_limit": gettext_lazy("Processes at most"),
    "pid": gettext_lazy("Or a process in it"),
    "seconds": gettext_lazy("Seconds"),
    "size": gettext_lazy("MiB"),
}


def in_words_of_forms(error: CnmError, text: Text) -> str:
    """*text*, a sentence of *error*, in the reader's language; a field that it names by the API's name is named by its label."""
    last = error.field.rpartition(".")[2]
    if last not in LABELS or ("name", last) not in text.params:
        return text.translated(_)
    named = [(key, _("“{label}”").format(label=LABELS[last]) if key == "name" else value) for key, value in text.params]
    return Text(text.template, tuple(named)).translated(_)
