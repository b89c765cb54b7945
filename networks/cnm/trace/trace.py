"""The question and its answer: walks the packet, then what is sent back, and says what becomes of the conversation."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from networks.cnm.addresses import AnyAddress
from networks.cnm.ruleset import words
from networks.cnm.ruleset.members import Span
from networks.cnm.ruleset.model import Ruleset
from networks.cnm.text import Text

from . import sentences
from .choices import Choice, Choices, every_way
from .hooks import Hooks
from .packet import ESTABLISHED, NEW, Packet, Tuple, answer_to, first_packet, next_packet
from .routing import best_route, find_way, way_of
from .steps import ANSWER, REST, Step, Stopped, describe
from .walk import CONTAINER, HOST, OUTSIDE, Party, Walk, copy_of, expected_answer, sport_of
from .world import MAIN, World

ALLOWED, DROPPED, REJECTED, UNDECIDABLE = "allowed", "dropped", "rejected", "undecidable"
VERDICTS = (ALLOWED, DROPPED, REJECTED, UNDECIDABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What would become of such a packet?"""

    source: Party
    destination: AnyAddress
    protocol: int = words.TCP
    port: int = 0
    """Of the destination; ignored for protocols without ports."""
    source_address: AnyAddress | None = None
    """The outside's; a container or the host sends from the address that its route prefers."""
    source_port: int = 0
    """0: any that a program is given."""
    state: str = NEW
    """``new``: the packet that opens a connection; ``established``: one in the middle of it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way in which it can go."""

    verdict: str
    reason: Text
    steps: tuple[Step, ...]
    decider: Step | None
    """The step that ended it; None when it was allowed."""
    arrived: Party | None
    """Who receives the packet."""
    received: str = ""
    """The packet as its receiver sees it."""
    code: str = ""
    """The reason in one word; see :mod:`.sentences`."""

    @property
    def sameness(self) -> tuple[object, ...]:
        where = (self.arrived.kind, self.arrived.name) if self.arrived else None
        return (self.verdict, where)


@dataclass(frozen=True, slots=True)
class Trace:
    """The answer. *outcome* is the likeliest way (no undecided condition holds); *others* those that end elsewhere."""

    question: Question
    verdict: str
    outcome: Outcome
    undecided: tuple[Choice, ...] = ()
    """The conditions on which it depends."""
    others: tuple[tuple[Outcome, tuple[Choice, ...]], ...] = field(default=())

    @property
    def reason(self) -> Text:
        if self.verdict == UNDECIDABLE and self.undecided:
            names = ", ".join(sorted({choice.name for choice in self.undecided}))
            return Text.of(
                sentences.DEPENDS if all(c.modelled for c in self.undecided) else sentences.UNKNOWN, names=names
            )
        return self.outcome.reason


def trace(question: Question, ruleset: Ruleset, world: World) -> Trace:
    """The answer to *question* on a host with these rules and this network. Pure; it never raises for what it is asked."""
    ways = list(every_way(lambda choices: _walk(question, ruleset, world, choices)))
    first, _ = ways[0]
    others = tuple((outcome, made) for outcome, made in ways[1:] if outcome.sameness != first.sameness)
    if not others:
        return Trace(question, first.verdict, first)
    decisive = {choice for _, made in others for choice in made if choice.taken}
    return Trace(question, UNDECIDABLE, first, tuple(sorted(decisive, key=lambda c: (c.name, c.where))), others)


def _walk(question: Question, ruleset: Ruleset, world: World, choices: Choices) -> Outcome:
    hooks = Hooks(ruleset, world, choices)
    walk = Walk(world, hooks)
    packet: Packet | None = None
    try:
        packet = _packet_of(question, world)
        if question.state == ESTABLISHED:
            _open(question, ruleset, world, choices, packet)
        sent = copy_of(packet)
        arrived = walk.send(packet, question.source)
        received = describe(packet)
        if not _stayed_inside(question, arrived, packet, sent):
            hooks.phase = ANSWER
            _answer(walk, question, packet, sent, arrived, opening=sent.state == NEW)
            if packet.protocol == words.TCP and sent.state == NEW:
                hooks.phase = REST
                _rest(walk, question, packet, sent, arrived)
    except Stopped as stopped:
        verdict, code = _heard(stopped, hooks, world, packet)
        reason = sentences.why(stopped.reason, stopped.step, hooks.phase)
        return Outcome(verdict, reason, tuple(hooks.steps), stopped.step, None, code=code)
    return Outcome(ALLOWED, sentences.arrived(arrived, world), tuple(hooks.steps), None, arrived, received, "allowed")


def _stayed_inside(question: Question, arrived: Party, packet: Packet, sent: Packet) -> bool:
    """Whether a sandbox speaks to itself without the host."""
    return (
        arrived.kind == question.source.kind == CONTAINER
        and not packet.tracked
        and arrived == question.source
        and (packet.now == sent.now)
    )


def _heard(stopped: Stopped, hooks: Hooks, world: World, packet: Packet | None) -> tuple[str, str]:
    """The verdict as the one who asked sees it: a reject that does not come back is a drop to him.

    The rejection of an answer tells its sender, not the one who waits for it.
    """
    if stopped.verdict != REJECTED or packet is None:
        return stopped.verdict, stopped.reason
    detail = stopped.step.outcome if stopped.step is not None else ""
    reset = packet.protocol == words.TCP and "reset" in detail
    if hooks.phase == ANSWER or (hooks.phase == REST and not reset):
        return DROPPED, stopped.reason  # an open connection takes an ICMP error for a passing trouble
    silent = Hooks(hooks.ruleset, world, hooks.choices)
    try:
        Walk(world, silent).send_rejection(packet, reset=reset)
    except Stopped:
        return DROPPED, stopped.reason
    return REJECTED, stopped.reason


def _open(question: Question, ruleset: Ruleset, world: World, choices: Choices, packet: Packet) -> None:
    """The connection as its first packet would have opened it, with the translations it would have got."""
    hooks = Hooks(ruleset, world, choices)
    opening = first_packet(packet.now, packet.protocol, NEW)
    with contextlib.suppress(
        Stopped
    ):  # the question supposes that it was let through; what it was translated to counts
        Walk(world, hooks).send(opening, question.source)
    packet.connection = opening.connection


def _answer(walk: Walk, question: Question, packet: Packet, sent: Packet, arrived: Party, *, opening: bool) -> None:
    """What the receiver sends back must reach the sender, from the address that it called."""
    answer = answer_to(packet, opening=opening)
    walk.hooks.note("start", arrived.name or arrived.kind, "answer", "", packet=answer)
    back = walk.send(answer, arrived)
    lost = back.kind != question.source.kind or (back.kind == CONTAINER and back.name != question.source.name)
    if lost or not expected_answer(answer, sent):
        step = walk.hooks.note("end", back.name or back.kind, "foreign_answer", DROPPED, packet=answer)
        raise Stopped(DROPPED, "foreign_answer", step)


def _rest(walk: Walk, question: Question, packet: Packet, sent: Packet, arrived: Party) -> None:
    """A TCP connection serves once its third packet arrives where the first did, and what is then sent comes back.

    The steps are kept only if something goes wrong: all else is as with the first two.
    """
    kept = len(walk.hooks.steps)
    third = next_packet(sent, packet.connection)
    walk.hooks.note("start", question.source.name or question.source.kind, "rest", "", packet=third)
    if walk.send(third, question.source) != arrived:
        raise Stopped(DROPPED, "foreign_answer", walk.hooks.steps[-1])
    _answer(walk, question, third, sent, arrived, opening=False)
    del walk.hooks.steps[kept:]


def _packet_of(question: Question, world: World) -> Packet:
    source = _source_of(question, world)
    ports = question.protocol in words.WITH_PORTS
    sport = Span.one(question.source_port) if question.source_port else sport_of(world)
    now = Tuple(source, question.destination, sport if ports else None, Span.one(question.port) if ports else None)
    return first_packet(now, question.protocol, question.state)


def _source_of(question: Question, world: World) -> AnyAddress:
    """The address that the sender sends from. Raises :class:`Stopped` where it has none."""
    if question.source_address is not None:
        return question.source_address
    if question.source.kind == OUTSIDE:
        raise Stopped(UNDECIDABLE, "no_source", None)
    if question.source.kind == HOST:
        way = find_way(world, question.destination)
        chosen = way.source
    else:
        sandbox = world.sandbox(question.source.name)
        if sandbox is None:
            raise Stopped(DROPPED, "no_sandbox", None)
        route = best_route(sandbox.routes, question.destination, MAIN)
        own = {address.ip for device in sandbox.devices for address in device.addresses}
        if question.destination in own or question.destination.is_loopback:
            return question.destination
        chosen = way_of(route, question.destination, sandbox.devices).source if route is not None else None
    if chosen is None:
        raise Stopped(DROPPED, "no_source" if question.source.kind == HOST else "sandbox_route", None)
    return chosen
