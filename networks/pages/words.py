"""Words that pages share: states, kinds, verbs; and the sentences that scripts of the page say."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

STATES = {
    # state: (word, tone, icon); the tone is a class, the icon tells it without colour
    "running": (gettext_lazy("running"), "good", "circle-dot"),
    "ready": (gettext_lazy("ready"), "good", "circle-check"),
    "done": (gettext_lazy("done"), "good", "circle-check"),
    "alive": (gettext_lazy("answers"), "good", "circle-check"),
    "created": (gettext_lazy("created"), "idle", "circle"),
    "exited": (gettext_lazy("exited"), "idle", "circle-minus"),
    "cancelled": (gettext_lazy("cancelled"), "idle", "ban"),
    "pending": (gettext_lazy("waiting"), "warn", "clock"),
    "starting": (gettext_lazy("starting"), "warn", "loader-2"),
    "stopping": (gettext_lazy("stopping"), "warn", "loader-2"),
    "restarting": (gettext_lazy("restarting"), "warn", "rotate-clockwise"),
    "removing": (gettext_lazy("being removed"), "warn", "loader-2"),
    "absent": (gettext_lazy("absent"), "idle", "circle-dashed"),
    "planned": (gettext_lazy("planned"), "idle", "circle-dashed"),
    "undone": (gettext_lazy("undone"), "warn", "history"),
    "failed": (gettext_lazy("failed"), "bad", "alert-triangle"),
    "silent": (gettext_lazy("does not answer"), "bad", "alert-triangle"),
    "missing": (gettext_lazy("missing"), "bad", "circle-x"),
    "changed": (gettext_lazy("changed"), "warn", "pencil"),
    "left over": (gettext_lazy("left over"), "warn", "circle-minus"),
    "out of order": (gettext_lazy("out of order"), "warn", "list-details"),
    "duplicated": (gettext_lazy("duplicated"), "warn", "copy"),
    "shadowed": (gettext_lazy("shadowed"), "warn", "eye"),
}

RESOURCES = {
    # kind of resource: (plural for headings, icon); in the order in which plans list them
    "sysctl": (gettext_lazy("Kernel settings"), "settings"),
    "bridge": (gettext_lazy("Bridges"), "router"),
    "sandbox": (gettext_lazy("Sandboxes (network namespaces)"), "box"),
    "veth": (gettext_lazy("Links"), "plug-connected"),
    "address": (gettext_lazy("Addresses"), "tag"),
    "route": (gettext_lazy("Routes"), "route"),
    "chain": (gettext_lazy("Firewall chains"), "wall"),
    "rule": (gettext_lazy("Firewall rules"), "shield-check"),
    "port": (gettext_lazy("Host ports"), "plug"),
    "dns": (gettext_lazy("Name servers"), "message-question"),
    "name": (gettext_lazy("Names"), "at"),
    "file": (gettext_lazy("Files"), "file-text"),
    "process": (gettext_lazy("Processes"), "terminal-2"),
}

OWNERS = {
    "host": gettext_lazy("host"),
    "network": gettext_lazy("network"),
    "container": gettext_lazy("container"),
    "endpoint": gettext_lazy("endpoint"),
    "port": gettext_lazy("published port"),
    "link": gettext_lazy("link"),
}

VERBS = {
    "network.create": gettext_lazy("created network"),
    "network.update": gettext_lazy("changed network"),
    "network.delete": gettext_lazy("removed network"),
    "network.connect": gettext_lazy("connected container"),
    "network.disconnect": gettext_lazy("disconnected container"),
    "container.run": gettext_lazy("ran container"),
    "container.create": gettext_lazy("created container"),
    "container.start": gettext_lazy("started container"),
    "container.stop": gettext_lazy("stopped container"),
    "container.restart": gettext_lazy("restarted container"),
    "container.kill": gettext_lazy("sent a signal to container"),
    "container.remove": gettext_lazy("removed container"),
    "container.rename": gettext_lazy("renamed container"),
    "container.exec": gettext_lazy("ran a command in container"),
    "container.exited": gettext_lazy("saw the end of container"),
    "container.commit": gettext_lazy("made an image of container"),
    "port.publish": gettext_lazy("published ports of container"),
    "trace.verify": gettext_lazy("sent a probe"),
    "moment.keep": gettext_lazy("kept who reached whom"),
    "port.restrict": gettext_lazy("said who may reach a port of container"),
    "port.unpublish": gettext_lazy("closed a port of container"),
    "link.create": gettext_lazy("linked container"),
    "link.delete": gettext_lazy("unlinked container"),
    "image.import": gettext_lazy("imported image"),
    "image.pull": gettext_lazy("fetched image"),
    "image.remove": gettext_lazy("removed image"),
    "host.start": gettext_lazy("made everything of this host"),
    "bulk.create": gettext_lazy("made several objects"),
    "bulk.start": gettext_lazy("started several containers"),
    "bulk.stop": gettext_lazy("stopped several containers"),
    "bulk.remove": gettext_lazy("removed several objects"),
    "host.repair": gettext_lazy("repaired drift"),
    "host.look": gettext_lazy("looked for drift"),
    "host.ports": gettext_lazy("reserved the ports of this host again"),
    "host.reconcile": gettext_lazy("compared everything"),
    "operation.retry": gettext_lazy("repaired operation"),
    "token.create": gettext_lazy("created token"),
    "token.revoke": gettext_lazy("revoked token"),
    "user.create": gettext_lazy("added user"),
    "user.update": gettext_lazy("changed user"),
    "session.begin": gettext_lazy("signed in"),
    "session.end": gettext_lazy("signed out"),
    "session.refused": gettext_lazy("was refused at sign-in"),
}


def for_scripts() -> dict[str, str]:
    """What scripts say, in the reader's language; ``{name}`` places are filled there."""
    return {
        "live": _("Live"),
        "connecting": _("Connecting…"),
        "waiting": _("Reconnecting in {seconds} s"),
        "paused": _("Paused: data as of {time}"),
        "out": _("Signed out"),
        "gone": _("This object does not exist any more."),
        "changed": _("Updated: {count} objects changed."),
        "picked": _("{count} selected"),
        "copied": _("Copied."),
        "logEnd": _("The log has ended: the container does not run."),
        "logGap": _("The connection broke. Press Follow to go on."),
    }


def for_topology() -> dict[str, str]:
    """More words, for the topology."""
    words = for_scripts() | {
        "outside": _("Outside"),
        "outsideHelp": _("Everything that reaches this host from elsewhere."),
        "internal": _("internal"),
        "summary": _("Networks: {networks}, containers: {containers}, published ports: {ports}"),
        "choose": _("Choose something in the picture or in the tree to see its details."),
        "open": _("Open"),
        "focus": _("Only its surroundings"),
        "fold": _("Collapse"),
        "unfold": _("Expand"),
        "folded": _("{count} containers collapsed"),
        "drift": _("{count} differences from the kernel"),
        "start": _("Start"),
        "stop": _("Stop"),
        "logs": _("Logs"),
        "connect": _("Connect"),
        "commands": _("Commands"),
        "state": _("State"),
        "image": _("Image"),
        "network": _("Network"),
        "endpoint": _("Endpoint"),
        "port": _("Published port"),
        "link": _("Link to"),
        "driver": _("Driver"),
        "subnet": _("Subnet"),
        "bridge": _("Bridge"),
        "containers": _("Containers"),
        "container": _("Container"),
        "address": _("Address"),
        "kernel": _("Kernel"),
        "firewall": _("Firewall"),
        "kind.host": _("host"),
        "kind.network": _("network"),
        "kind.container": _("container"),
        "kind.port": _("published port"),
        "kind.outside": _("outside"),
    }
    return words | {f"state.{state}": str(word) for state, (word, _tone, _icon) in STATES.items()}


VERDICT_WORDS = {
    "allowed": gettext_lazy("allowed"),
    "dropped": gettext_lazy("dropped"),
    "rejected": gettext_lazy("rejected"),
    "undecidable": gettext_lazy("cannot be decided"),
    "": gettext_lazy("not there any more"),
}
"""What a trace says of a packet."""
PROBE_WORDS = {
    "connected": gettext_lazy("the connection was made"),
    "answered": gettext_lazy("an answer"),
    "refused": gettext_lazy("a refusal: nobody listens there, or a rule rejects"),
    "unreachable": gettext_lazy("an error: not reachable"),
    "silence": gettext_lazy("nothing"),
    "": gettext_lazy("not known yet"),
}
"""What came back to a probe."""
