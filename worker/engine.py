"""The kernel process of one host: takes operations one by one, listens to notices, keeps the observations fresh."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from django.conf import settings
from django.db import close_old_connections
from django.db.models import Q
from django.utils import timezone

from networks import associations, departure, feed, history, peers, retention, settle, withheld
from networks.cnm.errors import CnmError
from networks.cnm.facts import HostFacts
from networks.cnm.foreign import foreign
from networks.cnm.plugin_resources import TOLD
from networks.cnm.resources import PortReservation
from networks.cnm.rules import Rule
from networks.cnm.trace.world import Sandbox, World, to_json
from networks.cnm.underlay import underlay_of
from networks.load import load_settings
from networks.models import Host, Network, Observation, Operation
from networks.observed import ruleset_of
from networks.plugin_answers import note_answers
from networks.repairs import may_repair
from networks.wake import send

from . import docker_engine, drift
from .build import Parts
from .capture import run as captures
from .claim import claim_next, is_waiting, requeue_interrupted
from .defect import defect
from .diff import diff
from .firewall import flows
from .notices import NOTICES, NoticeBox
from .observe.docker import observe_docker
from .observe.plugins import REPLAYED
from .observe.podman import PodmanObserver
from .observe.world import DockerObserver, WorldObserver
from .patience import in_passing, undisturbed
from .reconcile import Reconciler
from .scope import WHOLE_KINDS, Scope
from .shadows import find_shadows

log = logging.getLogger(__name__)

RULES = frozenset(WHOLE_KINDS) | {"leftover"}
LINKS = frozenset(
    {"bridge", "vlan", "sandbox", "veth", "handed", "macvlan", "ipvlan", "interface", "address", "route"}
    | {"vxlan", "forwarding", "neighbour"}
    | {"plugin-endpoint", "plugin-join", "plugin-ports"}  # what they are there for may be gone
)
DEVICES = frozenset({"bridge", "vlan", "veth", "handed", "vxlan"})
"""What of ours has a name among the host's own devices."""
FILES = frozenset({"file"})
XFRM = frozenset({"xfrm-state", "xfrm-policy"})
EVERYTHING = frozenset({"sysctl", "port", "process", "dns", "name", *TOLD}) | RULES | LINKS | FILES | XFRM
EVERYTHING -= {"plugin-node"}  # a plugin that has not heard of a host yet is told when it answers
KINDS_OF_NEWS = {
    "rules": RULES,
    "legacy": RULES,
    "links": LINKS,
    "files": FILES,
    "sysctls": frozenset({"sysctl"}),
    "xfrm": XFRM,
    "full": EVERYTHING,
}
LOOKS = (RULES, LINKS, FILES, EVERYTHING - RULES - LINKS - FILES)
"""The parts that a look falls into: between them it gives way to operations."""
WORLD = LINKS | {"sysctl"}
"""News of these may change where a packet goes."""
WORLD_SHARE = 10
CHEAP_S = 0.25
"""A look at the whole network that costs more than this is taken so seldom that it takes a tenth of the time."""
COUNTERS_SHARE = 50
"""Rules are read for their counters alone so seldom that it takes a fiftieth of the time."""
COUNTERS = ("packets", "bytes")
PAUSE_S, AT_LATEST_S = 0.05, 0.5
"""The looks for the pages that follow on our own work wait for a pause of this length, but no longer than that after it."""
RULES_SHARE = 4
"""Where a look at thousands of rules takes long, work that goes on and on is held up by no more than one part in this many."""
BEAT_S = 5.0
"""How long at most a worker that carries out one operation after the other says nothing of itself."""


Later = Callable[[float, Callable[[], None]], object]
"""Calls a function some seconds from now, when nothing else is under way in this thread."""


class Engine:
    """Everything that happens in the kernel process, one thing after the other."""

    def __init__(self, host: Host, parts: Parts, observe_facts: Callable[[], HostFacts], later: Later) -> None:
        self.host = host
        self.parts = parts
        self.reconciler = Reconciler(host, parts.machine, parts.processes, parts.files, parts.told)
        self._observe_facts = observe_facts
        self._later = later
        self._work_since = self._worked_at = 0.0
        self._rules_at: int | None = None
        self._rules_cost_s = self._counters_cost_s = 0.0
        self._observe_world = WorldObserver()
        self._observe_docker = DockerObserver()
        self._podman_names = PodmanObserver()
        self._world_cost_s = 0.0
        self._world_at = 0.0
        self._counted_at = self._looked_at = 0.0
        self._beat_at = 0.0
        self._notices = NoticeBox(settings.RUN_DIR / NOTICES)
        self.left = False
        """Whether this host is none of this CNM Web's any more: nobody asks for anything here, and there is nobody to tell."""

    def start(self) -> None:
        """Take up what a former worker left, then bring the whole host to what is asked."""
        again = requeue_interrupted(self.host, "kernel")
        if again:
            log.warning("%s interrupted operations are taken up again", again)
        self.look_at_facts()
        self.collect_exits()
        note_answers(self.host, self.parts.told.answers())  # a worker that died may not have
        with feed.transaction(settle.ACTOR):
            withheld.take_up_all(self.host)
        associations.renew_unreadable(self.host)
        self.pass_over_everything("host.start")
        self.drain()
        self.look(EVERYTHING)
        self.look_at_rules()
        self.look_at_world()
        self.beat()
        (settings.RUN_DIR / "kernel.pid").write_text(str(os.getpid()))  # it is there: the host is as it was asked to be

    def drain(self) -> None:
        """Carry out every operation that waits."""
        close_old_connections()
        count = 0
        while (operation := claim_next(self.host, "kernel")) is not None:
            self.run(operation)
            count += 1
            if time.monotonic() - self._beat_at > BEAT_S:
                self.beat()  # a clock's notice may wait behind many others, and a host that works is not silent
        if count:
            self._worked_at = time.monotonic()
            if not self._work_since:
                self._work_since = self._worked_at
                self._later(PAUSE_S, self._look_after_work)

    def _look_after_work(self) -> None:
        """Store what operations made of rules and network: not between one operation and the next, which would wait for it."""
        if self.left:
            return
        now = time.monotonic()
        late = self._work_since + max(AT_LATEST_S, self._rules_cost_s * RULES_SHARE)
        wait_s = min(self._worked_at + PAUSE_S, late) - now
        if wait_s > 0:
            self._later(wait_s, self._look_after_work)
            return
        self._work_since = 0.0
        close_old_connections()
        drifted = drift.open_kinds(self.host)
        for part in LOOKS:
            if drifted & part:
                self._in_passing(partial(self.look, part))  # what we wrote may have ended it, which is news to nobody
        self._in_passing(partial(self.look_at_rules, counters=False))
        self._in_passing(self.look_at_world)

    def _in_passing(self, look: Callable[[], None]) -> None:
        in_passing(look, lambda: is_waiting(self.host, "kernel"), self.drain)

    def run(self, operation: Operation) -> None:
        """Carry out one claimed operation; whatever happens, it ends."""
        with self._busy(), undisturbed():
            self._run(operation)
        if self._plugins_changed():
            self.look_at_facts()

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """While we write, the monitor takes what it sees for ours: it knows by this file."""
        busy = settings.RUN_DIR / "busy"
        busy.touch()
        try:
            yield
        finally:
            busy.unlink(missing_ok=True)

    def _run(self, operation: Operation) -> None:
        try:
            if operation.verb == "host.repair" and operation.args.get("drift") is not None:
                self.reconciler.repair(operation, drift.keys_of(operation.args["drift"]))
                self.look(EVERYTHING)
            elif operation.verb == "host.ports":
                self.reconciler.repair(operation, self.reconciler.lost(PortReservation.kind))
                self.look(frozenset({PortReservation.kind}) | RULES)
            elif operation.verb == "host.repair":
                self.reconciler.run(operation)
                self.look(EVERYTHING)
            elif operation.verb == departure.VERB:
                self._leave(operation)
            elif operation.verb == "host.look":
                self.look(EVERYTHING)
                settle.end_only(operation)
            else:
                if operation.args.get("ends"):
                    self.collect_exits()  # their exit codes: what takes the processes away forgets these
                self.reconciler.run(operation)
        except Exception as error:
            log.exception("operation %s ended in a defect of ours", operation.number)
            self.reconciler.refuse(operation, defect(error))

    def _leave(self, operation: Operation) -> None:
        """Take everything of ours away; with the operation's end the rows of this host are gone."""
        self.host.refresh_from_db(fields=["drained", "removing"])
        self.reconciler.run(operation)
        self.left = not Host.objects.filter(pk=self.host.pk).exists()
        if self.left:
            log.warning("%s has left: an admin removed it", self.host.name)
            try:
                self.parts.processes.runtime.tear_down()
            except (OSError, CnmError):
                log.exception("some folders of ours stay until make purge")

    def notice(self, asked: Iterable[str] = ()) -> None:
        """Look at what the monitor's news name, if no earlier message took them, and at what is *asked* for. Operations go first."""
        self.drain()
        if self.left:
            return
        told = self._notices.take()
        news, writer = told.what | set(asked), told.writer
        if "exits" in news:
            self.collect_exits()
        if "holder" in news:
            self.reserve_again()
        if "clock" in news:
            self.beat()
        if self.left:
            return
        if news & {"clock", "facts"}:
            self.look_at_facts()
        self.drain()
        kinds = frozenset().union(*(KINDS_OF_NEWS[item] for item in news if item in KINDS_OF_NEWS))
        for part in LOOKS:
            if kinds & part:
                self._in_passing(partial(self.look, kinds & part, writer))
        if kinds & RULES:
            self._in_passing(partial(self.look_at_rules, writer, known=not news & {"legacy", "full"}, counters=False))
        elif "clock" in news and time.monotonic() - self._counted_at > self._counters_cost_s * COUNTERS_SHARE:
            self._in_passing(self.look_at_rules)
        if "pages" in news:
            self._look_for_pages()
        elif kinds & WORLD or "clock" in news:
            self._in_passing(partial(self.look_at_world, patient="clock" not in news))

    def _look_for_pages(self) -> None:
        """Somebody reads what we saw, and it is older than our last work."""
        if self._work_since or self._looked_at < self._worked_at:
            self._work_since = 0.0
            self._in_passing(partial(self.look_at_rules, counters=False))
        if self._world_at < self._worked_at:
            self._in_passing(partial(self.look_at_world, patient=False))

    def beat(self) -> None:
        """Say that we live, and do what is to be done now and then."""
        self._beat_at = time.monotonic()
        self.parts.processes.runtime.tend_logs()
        retention.forget_history(self.host)
        captures.forget_old(self.host)
        history.keep()
        associations.tend(self.host)
        connections, most = flows.remembered()
        alive = {"heartbeat_at": timezone.now(), "worker_version": settings.VERSION}
        alive |= {"connections": connections, "most_connections": most}
        self.left = not Host.objects.filter(pk=self.host.pk).update(**alive)

    def pass_over_everything(self, verb: str) -> None:
        """Compare the whole host and mend what differs; a row is written only when there was something to mend."""
        compiled = self.reconciler.compile()
        if self.reconciler.plan(compiled, Scope(everything=True)):
            self.run(settle.open_operation(self.host, verb, scope={"all": True}))
        else:
            self.reconciler.remember_all(compiled)
            self.reconciler.settle_all(compiled)

    def reserve_again(self) -> None:
        """The port holder is a process of ours: what it lost when it died is no drift that waits for a person."""
        try:
            lost = self.reconciler.lost(PortReservation.kind)
        except CnmError as error:
            log.warning("the ports could not be reserved again: %s", error)
            return
        if lost:
            self.run(settle.open_operation(self.host, "host.ports", scope={}))

    def look(self, kinds: frozenset[str], writer: str = "") -> None:
        """Measure drift of *kinds* against what was last applied, and mend it where the settings say so."""
        wanted = [resource for resource in self.reconciler.applied if resource.kind in kinds]
        found = [resource for resource in self.parts.machine.observe((), whole=kinds) if resource.kind in kinds]
        plan = diff(wanted, found)
        if kinds & RULES:
            # Of several programs that wrote at once the news names the last; the tables that it touched tell who it was.
            writer = self.parts.rules.backend.writer() or writer
        if kinds >= FILES:
            settle.note(self.host, self.parts.files.seen())
        changed = drift.record(self.host, plan, kinds, writer)
        if changed and plan and self.host.settings.get("auto_repair") and may_repair(self.host):
            self.run(settle.open_operation(self.host, "host.repair", scope={"all": True}))

    def _plugins_changed(self) -> bool:
        """Whether a plugin is another than the facts say: it fell silent, or is owed something."""
        told = HostFacts.from_json(self.host.facts).plugins
        return told != self.parts.plugins.seen(self.parts.told.owed())

    def look_at_facts(self) -> None:
        facts = self._observe_facts()
        if self.parts.told.pay():
            facts = self._observe_facts()
        moved = self._note_underlay(facts)
        if facts.version == self.host.facts.get("version"):
            Host.objects.filter(pk=self.host.pk).update(facts_at=timezone.now())
        else:
            self._store(facts)
        if moved and self.reconciler.applied:
            self.pass_over_everything("host.reconcile")
        self._replay()

    def _store(self, facts: HostFacts) -> None:
        """Tell the rows, and pages, that the host is otherwise; and of a plugin also the networks that show it."""
        before = HostFacts.from_json(self.host.facts).plugins
        plugins = {plugin.name for plugin in set(before) ^ set(facts.plugins)}
        self.host.facts, self.host.facts_at = facts.to_json(), timezone.now()
        self.host.firewall_backend = self.parts.firewall.flavour
        with feed.transaction("worker"):
            self.host.save(update_fields=["facts", "facts_at", "firewall_backend"])
            feed.put("host", self.host)
            for network in _made_by(self.host, plugins):
                feed.put("network", network)

    def _replay(self) -> None:
        """Ask plugins that were started anew, and keep no addresses beyond their end, for those that they gave."""
        if not self.parts.told.replays():
            return
        lost = {key for kind in REPLAYED for key in self.reconciler.lost(kind)}
        if lost:
            operation = settle.open_operation(self.host, "host.replay", scope={})
            with self._busy(), undisturbed():
                self.reconciler.repair(operation, lost)

    def _note_underlay(self, facts: HostFacts) -> bool:
        """Store how other hosts reach this one, and tell those whom it concerns where that changed; whether it did."""
        found = underlay_of(load_settings(self.host), facts)
        seen = (str(found.address), found.room) if found else ("", 0)
        if seen == (self.host.underlay, self.host.underlay_room):
            return False
        self.host.underlay, self.host.underlay_room = seen
        with feed.transaction(settle.ACTOR):
            self.host.save(update_fields=["underlay", "underlay_room"])
            peers.tell_others(self.host, peers.shared_on(self.host))
        return True

    def look_at_rules(self, writer: str = "", *, known: bool = False, counters: bool = True) -> None:
        """Store all rules of the host, ours and others', for the pages; the event only says that there is news.

        *known*: only where nf_tables tells that something changed since the last look. The legacy flavour tells nothing. *counters*: those
        of now; without them what nobody touched is not read again.
        """
        begun, at = time.monotonic(), self.parts.rules.backend.generation()
        if known and at is not None and at == self._rules_at:
            return
        snapshot = self.parts.rules.snapshot(counters=counters)
        # A look that nobody's news caused may see what others did before the news of it comes, which then finds nothing new.
        writer = self.parts.rules.backend.strangers() or writer
        self._rules_at, self._looked_at = at, begun  # not before: a look may be given up
        rules = [{name: rule[name] for name in rule if name not in COUNTERS} for rule in snapshot["rules"]]
        beside = [snapshot.get(name) for name in ("ipsets", "docker")]
        generation = hashlib.sha256(json.dumps([rules, beside]).encode()).hexdigest()[:16]
        with feed.transaction(settle.ACTOR):
            rows = Observation.objects.filter(host=self.host, kind="rules")
            before = rows.values_list("generation", flat=True).first()
            if not rows.update(data=snapshot, generation=generation, at=timezone.now()):
                rows.create(host=self.host, kind="rules", data=snapshot, generation=generation)
            if before != generation:
                history.keep_rules(self.host, snapshot, generation, writer)
                feed.put_data("firewall", self.host.name, {"host": self.host.name, "generation": generation})
        if before != generation:
            wanted = [resource for resource in self.reconciler.applied if isinstance(resource, Rule)]
            drift.record_shadows(self.host, find_shadows(ruleset_of(snapshot), wanted), writer)
        self._rules_cost_s = time.monotonic() - begun
        if counters:
            self._counted_at, self._counters_cost_s = time.monotonic(), self._rules_cost_s

    def look_at_world(self, *, patient: bool = True) -> None:
        """Store the host's network as a trace needs it. *patient*: a look that costs much may wait for the clock."""
        begun = time.monotonic()
        if patient and self._world_cost_s > CHEAP_S and begun - self._world_at < self._world_cost_s * WORLD_SHARE:
            return
        docker = self._observe_docker()
        world = docker_engine.with_theirs(self.host, self._observe_world(), docker)
        data = to_json(world)
        generation = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
        rows = Observation.objects.filter(host=self.host, kind="world")
        same = rows.filter(generation=generation)
        if not same.update(at=timezone.now()) and not rows.update(data=data, generation=generation, at=timezone.now()):
            rows.create(host=self.host, kind="world", data=data, generation=generation)
        self._note_foreign(world, docker)
        self._world_at, self._world_cost_s = begun, time.monotonic() - begun

    def _note_foreign(self, world: World, docker: Sequence[Sandbox]) -> None:
        """Store what stands on the host and is not ours, and tell pages where that has changed."""
        ours = {resource.key[1] for resource in self.reconciler.applied if resource.kind in DEVICES}
        said = observe_docker() if docker else []
        if docker_engine.note_names(self.host, said):
            self._later(0.0, self.drain)
        data = foreign(world, ours, docker, said, self._podman_names())
        generation = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
        rows = Observation.objects.filter(host=self.host, kind="foreign")
        if rows.filter(generation=generation).exists():
            return
        with feed.transaction(settle.ACTOR):
            if not rows.update(data=data, generation=generation, at=timezone.now()):
                rows.create(host=self.host, kind="foreign", data=data, generation=generation)
            feed.put_data("foreign", self.host.name, {"host": self.host.name, **data})

    def collect_exits(self) -> None:
        """Tell the rows of every process that ended; a restart policy may start it again after a pause."""
        for ended in self.parts.processes.exits():
            if ended.by_us:
                continue
            code = -1 if ended.exit_code is None else ended.exit_code
            at = datetime.fromtimestamp(ended.finished_at, UTC)
            pause_s = settle.mark_exited(
                self.host, ended.container_id, ended.run, code, at, oom_killed=ended.oom_killed
            )
            if pause_s is not None:
                value = {"container": ended.container_id, "run": ended.run}
                if not send("worker.tasks.restart_due", self.host.name, "kernel", value, countdown_s=pause_s):
                    self.restart_due(ended.container_id, ended.run)

    def restart_due(self, container_id: str, run: str) -> None:
        """The pause before a restart by policy is over."""
        settle.restart_by_policy(self.host, container_id, run)
        self.drain()


def _made_by(host: Host, plugins: Collection[str]) -> Iterable[Network]:
    """The networks of *host* that show one of *plugins*."""
    if not plugins:
        return ()
    return Network.objects.filter(Q(driver__in=plugins) | Q(ipam_driver__in=plugins), host=host)
