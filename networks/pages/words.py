"""Words that pages share: states, kinds, verbs; and the sentences that scripts of the page say."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

STATES = {
    # state: (word, tone, icon); the tone is a class, the icon tells it without colour
    "running": (gettext_lazy("running"), "good", "circle-dot"),
    "paused": (gettext_lazy("paused"), "warn", "player-pause"),
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
    "degraded": (gettext_lazy("degraded"), "bad", "alert-triangle"),
    "full": (gettext_lazy("nearly full"), "bad", "alert-triangle"),
    "drained": (gettext_lazy("drained"), "warn", "ban"),
    "unknown": (gettext_lazy("unknown"), "idle", "circle-dashed"),
    "missing": (gettext_lazy("missing"), "bad", "circle-x"),
    "changed": (gettext_lazy("changed"), "warn", "pencil"),
    "left over": (gettext_lazy("left over"), "warn", "circle-minus"),
    "out of order": (gettext_lazy("out of order"), "warn", "list-details"),
    "duplicated": (gettext_lazy("duplicated"), "warn", "copy"),
    "shadowed": (gettext_lazy("shadowed"), "warn", "eye"),
}

RESOURCES = {
    # kind of resource: (plural for headings, icon); in the order in which plans list them
    "plugin-node": (gettext_lazy("Hosts that a plugin knows of"), "server"),
    "pool": (gettext_lazy("Ranges of addresses that a plugin keeps"), "tag"),
    "plugin-allocation": (gettext_lazy("What a plugin settles for all hosts"), "network"),
    "plugin-network": (gettext_lazy("Networks that a plugin makes"), "network"),
    "lease": (gettext_lazy("Addresses that a plugin gives"), "tag"),
    "plugin-endpoint": (gettext_lazy("Endpoints that a plugin makes"), "plug-connected"),
    "plugin-join": (gettext_lazy("Sandboxes that join a plugin's network"), "plug-connected"),
    "plugin-ports": (gettext_lazy("Ways outside that a plugin opens"), "plug"),
    "sysctl": (gettext_lazy("Kernel settings"), "settings"),
    "bridge": (gettext_lazy("Bridges"), "router"),
    "vlan": (gettext_lazy("VLAN sub-interfaces"), "network"),
    "sandbox": (gettext_lazy("Sandboxes (network namespaces)"), "box"),
    "veth": (gettext_lazy("Links"), "plug-connected"),
    "handed": (gettext_lazy("Links handed to a Docker Engine"), "plug-connected"),
    "macvlan": (gettext_lazy("Macvlan devices"), "plug-connected"),
    "ipvlan": (gettext_lazy("Ipvlan devices"), "plug-connected"),
    "interface": (gettext_lazy("Interfaces of plugins"), "plug-connected"),
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

ROLE_WORDS = {
    "viewer": gettext_lazy("viewer"),
    "operator": gettext_lazy("operator"),
    "admin": gettext_lazy("admin"),
}

WAYS = {
    "page": gettext_lazy("page"),
    "api": gettext_lazy("api"),
    "shell": gettext_lazy("shell"),
    "worker": gettext_lazy("worker"),
    "plugin": gettext_lazy("plugin of a Docker Engine"),
}
"""By which somebody asked for something."""

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
    "network.peers": gettext_lazy("learned what changed on other hosts"),
    "network.delete": gettext_lazy("removed network"),
    "network.connect": gettext_lazy("connected container"),
    "network.disconnect": gettext_lazy("disconnected container"),
    "network.offer": gettext_lazy("lets a Docker Engine use network"),
    "network.withdraw": gettext_lazy("does without network"),
    "container.run": gettext_lazy("ran container"),
    "container.create": gettext_lazy("created container"),
    "container.start": gettext_lazy("started container"),
    "container.stop": gettext_lazy("stopped container"),
    "container.restart": gettext_lazy("restarted container"),
    "container.pause": gettext_lazy("paused container"),
    "container.unpause": gettext_lazy("let go on container"),
    "container.kill": gettext_lazy("sent a signal to container"),
    "container.remove": gettext_lazy("removed container"),
    "container.rename": gettext_lazy("renamed container"),
    "container.exec": gettext_lazy("ran a command in container"),
    "terminal.open": gettext_lazy("opened a terminal in container"),
    "terminal.attach": gettext_lazy("connected to somebody's terminal in container"),
    "terminal.close": gettext_lazy("closed a terminal in container"),
    "terminal.end": gettext_lazy("saw the end of a terminal in container"),
    "container.exited": gettext_lazy("saw the end of container"),
    "container.attach": gettext_lazy("attached to container"),
    "container.copy_out": gettext_lazy("copied files out of container"),
    "container.copy_in": gettext_lazy("copied files into container"),
    "container.commit": gettext_lazy("made an image of container"),
    "port.publish": gettext_lazy("published ports of container"),
    "capture.run": gettext_lazy("captured packets of"),
    "capture.stop": gettext_lazy("stopped a capture of"),
    "capture.download": gettext_lazy("took along a capture of"),
    "capture.remove": gettext_lazy("deleted a capture of"),
    "trace.verify": gettext_lazy("sent a probe"),
    "name.look_up": gettext_lazy("looked up a name in container"),
    "moment.keep": gettext_lazy("kept who reached whom"),
    "port.restrict": gettext_lazy("said who may reach a port of container"),
    "port.unpublish": gettext_lazy("closed a port of container"),
    "link.create": gettext_lazy("linked container"),
    "link.delete": gettext_lazy("unlinked container"),
    "image.import": gettext_lazy("imported image"),
    "image.pull": gettext_lazy("fetched image"),
    "image.tag": gettext_lazy("named image"),
    "image.remove": gettext_lazy("removed image"),
    "volume.create": gettext_lazy("made volume"),
    "volume.remove": gettext_lazy("removed volume"),
    "host.start": gettext_lazy("made everything of this host"),
    "bulk.create": gettext_lazy("made several objects"),
    "bulk.start": gettext_lazy("started several containers"),
    "bulk.stop": gettext_lazy("stopped several containers"),
    "bulk.remove": gettext_lazy("removed several objects"),
    "topology.apply": gettext_lazy("applied a file of the desired state"),
    "container.update": gettext_lazy("changed container"),
    "host.repair": gettext_lazy("repaired drift"),
    "host.look": gettext_lazy("looked for drift"),
    "host.replay": gettext_lazy("told plugins anew what they do not keep"),
    "host.ports": gettext_lazy("reserved the ports of this host again"),
    "host.reconcile": gettext_lazy("compared everything"),
    "operation.retry": gettext_lazy("repaired operation"),
    "host.invite": gettext_lazy("let a host join"),
    "host.disinvite": gettext_lazy("took back the leave to join"),
    "host.join": gettext_lazy("joined"),
    "host.remove": gettext_lazy("removed a host"),
    "host.drain": gettext_lazy("drained a host"),
    "host.activate": gettext_lazy("took a host up again"),
    "token.create": gettext_lazy("created token"),
    "token.revoke": gettext_lazy("revoked token"),
    "user.create": gettext_lazy("added user"),
    "user.update": gettext_lazy("changed user"),
    "session.begin": gettext_lazy("signed in"),
    "session.end": gettext_lazy("signed out"),
    "session.refused": gettext_lazy("was refused at sign-in"),
}


WAITS = {
    # verb: what is waited for while no step of a plan is under way
    "container.stop": gettext_lazy("waiting for its process to end"),
    "container.restart": gettext_lazy("waiting for its process to end"),
    "container.remove": gettext_lazy("waiting for its process to end"),
    "bulk.stop": gettext_lazy("waiting for processes to end"),
    "bulk.remove": gettext_lazy("waiting for processes to end"),
    "topology.apply": gettext_lazy("waiting for processes to end"),
    "container.exec": gettext_lazy("the command runs"),
    "image.import": gettext_lazy("the image is being fetched"),
    "capture.run": gettext_lazy("packets are being captured"),
}


CHANGES = {
    # action of a change of the desired state: (words, kind of sign, sign)
    "create": (gettext_lazy("is made"), "create", "+"),
    "change": (gettext_lazy("is changed in place"), "change", "~"),
    "remake": (gettext_lazy("is removed and made anew"), "change", "±"),
    "remove": (gettext_lazy("is removed"), "delete", "−"),
    "repair": (gettext_lazy("is tried again"), "change", "~"),
}


def for_scripts() -> dict[str, str]:
    """What scripts say, in the reader's language; ``{name}`` places are filled there."""
    return {
        "live": _("Live"),
        "connecting": _("Connecting…"),
        "waiting": _("Reconnecting in {seconds} s"),
        "polled": _("Live, a few seconds late"),
        "paused": _("Paused: data as of {time}"),
        "out": _("Signed out"),
        "gone": _("This object does not exist any more."),
        "changed": _("Updated: {count} objects changed."),
        "picked": _("{count} selected"),
        "copied": _("Copied."),
        "paletteFound": _("{count} found"),
        "paletteNone": _("Nothing matches."),
        "paletteAway": _("The server does not answer."),
        "noAnswer": _(
            "This plan may be old: the server did not answer. What you typed is kept; change something to ask again."
        ),
        "renewed": _(
            "The page was opened before you signed in the last time, so this was refused. It is up to date now: what you typed is kept;"
            " change something to ask again."
        ),
        "logEnd": _("The log has ended: the container does not run."),
        "logGap": _("Some lines are lost: the log was begun anew meanwhile."),
        "logBroke": _("The connection broke. Trying again in {seconds} s, from here."),
        "logFound": _("{count} lines"),
    }


def for_terminal() -> dict[str, str]:
    """What the terminal says of its connection."""
    return {
        "connecting": _("Connecting…"),
        "connected": _("Connected"),
        "waiting": _("The connection broke. Trying again in {seconds} s; what runs goes on meanwhile."),
        "taken": _("This terminal was opened in another window."),
        "ended": _("Ended with exit code {code}."),
        "reason.exited": "",
        "reason.closed": _("It was closed."),
        "reason.idle": _("Nobody typed for too long."),
        "reason.left": _("Nobody was connected for too long."),
        "reason.container": _("The container stopped."),
        "reason.lost": _("The process that held it was replaced."),
        "out": _("Signed out, or no longer allowed to type here."),
        "gone": _("This terminal has ended."),
        "cut": _("[earlier output is not kept]"),
        "input": _("Terminal. Ctrl+F6 leaves it."),
        "copied": _("Copied."),
    }


ENDS = {
    "exited": gettext_lazy("ended by itself"),
    "closed": gettext_lazy("closed"),
    "idle": gettext_lazy("nobody typed for too long"),
    "left": gettext_lazy("nobody was connected for too long"),
    "container": gettext_lazy("its container stopped"),
    "lost": gettext_lazy("the process that held it was replaced"),
    "refused": gettext_lazy("could not be started"),
    "unused": gettext_lazy("nobody connected"),
}
"""Why a terminal ended."""


CAPTURE_ENDS = {
    "time": gettext_lazy("its time was over"),
    "size": gettext_lazy("it was large enough"),
    "stopped": gettext_lazy("stopped"),
    "gone": gettext_lazy("the interface went away"),
    "lost": gettext_lazy("its process was replaced"),
}
"""Why a capture ended."""


def for_topology() -> dict[str, str]:
    """More words, for the topology."""
    words = for_scripts() | {
        "outside": _("Outside"),
        "outsideHelp": _("Everything that reaches this host from elsewhere."),
        "internal": _("internal"),
        "summary": _("Networks: {networks}, containers: {containers}, published ports: {ports}"),
        "down": _("down"),
        "up": _("up"),
        "apart": _("Other namespaces"),
        "noValue": _("without one"),
        "label": _("Label"),
        "packets": _("packets/s"),
        "traffic": _("Traffic"),
        "program": _("Made by"),
        "plugged": _("Plugged in"),
        "foreignHelp": _("Not made by CNM Web, which only looks at it."),
        "networksHead": _("Networks"),
        "containersHead": _("Containers and their endpoints"),
        "someRows": _("{what}: the first {count} of {total}. A search narrows them down."),
        "saidGone": _("{name} is gone"),
        "traceTo": _("Trace to …"),
        "tracePick": _("Choose where a packet from {name} goes: a container or a published port. Escape ends this."),
        "terminal": _("Terminal"),
        "disconnectFrom": _("Disconnect from {network}"),
        "now": _("now"),
        "pastNote": _("The past: {time}. Nothing here is of now."),
        "sinceNote": _("Now, compared with {time}."),
        "pastFailed": _("The past could not be read. Try again."),
        "changedHead": _("What changed from {since} to {at}"),
        "nothingChanged": _("Nothing that the topology shows."),
        "leftOut": _("and {count} more"),
        "came": _("came"),
        "went": _("went"),
        "differs": _("differs"),
        "byWriter": _("seen to write: {writer}"),
        "byWorker": _("the worker saw it"),
        "rulesChanged": _("Rules: {added} came, {removed} went"),
        "rulesUnknown": _("The rules of one of the two moments are not kept."),
        "rulesThen": _("Its rules then"),
        "noRules": _("None that carries its name."),
        "kind.drift": _("difference from the kernel"),
        "endpoints": _("Endpoints"),
        "ports": _("Published ports"),
        "links": _("Links"),
        "labels": _("Labels"),
        "choose": _("Choose something in the picture or in the tree to see its details."),
        "open": _("Open"),
        "focus": _("Only its surroundings"),
        "hide": _("Hide"),
        "fold": _("Collapse"),
        "unfold": _("Expand"),
        "folded": _("{count} containers collapsed"),
        "drift": _("{count} differences from the kernel"),
        "start": _("Start"),
        "stop": _("Stop"),
        "logs": _("Logs"),
        "connect": _("Connect"),
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
        "kind.group": _("group"),
        "kind.foreign": _("bridge of another program"),
        "kind.stranger": _("not ours"),
        "program.docker": "Docker",
        "program.podman": "Podman",
        "program.libvirt": "libvirt",
        "program.lxc": "LXC",
        "program.kube": "Kubernetes",
        "program.": _("unknown"),
    }
    words |= {f"verb.{verb}": str(word) for verb, word in VERBS.items()}
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
    "unknown": gettext_lazy("there is no such name"),
    "": gettext_lazy("not known yet"),
}
"""What came back to a probe."""
