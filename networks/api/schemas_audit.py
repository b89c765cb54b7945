"""Shapes for OpenAPI of rules, drift, traces, findings and dumps."""

from __future__ import annotations

from rest_framework import serializers as s

from .schema_fields import anything, flag, number, shape, text, texts
from .schemas import OwnerShape

Rule = shape(
    "Rule",
    host=text(),
    flavour=text(),
    family=number(),
    table=text(),
    chain=text(),
    position=number(),
    text=text(),
    packets=number(),
    bytes=number(),
    tag=text(),
    ours=flag(),
    owner=OwnerShape(required=False),
    why=text(),
    sets=anything(),
    foreign_object=anything(),
    made=shape("Maker", by=text(), at=text(), verb=text(), request_id=text())(
        required=False, allow_null=True, help_text="Who asked for the owner, when and by which request."
    ),
    foreign_class=text(),
)
Chain = shape(
    "Chain", host=text(), family=number(), table=text(), name=text(), policy=text(), packets=number(), bytes=number()
)
Drift = shape(
    "Drift",
    id=number(),
    host=text(),
    key=texts(),
    kind=text(),
    resource_kind=text(),
    text=text(),
    difference=anything(),
    owner=OwnerShape(required=False),
    why=anything(),
    writer=text(),
    detected_at=text(),
    resolved_at=text(),
)
RepairRequest = shape("RepairRequest", drift=s.ListField(child=s.IntegerField(), required=False))
TraceRequest = shape(
    "TraceRequest",
    **{"from": s.CharField(help_text="A container, an address, or host."), "to": s.CharField()},
    protocol=s.ChoiceField(("tcp", "udp", "sctp", "icmp"), required=False),
    port=number(),
    interface=text(help_text="The device by which an outside address comes in; left out: the one that leads to it."),
    source_port=number(),
    state=s.ChoiceField(("new", "established"), required=False),
)
TraceStep = shape(
    "TraceStep",
    kind=text(),
    phase=text(help_text="packet, answer or rest"),
    hook=text(),
    where=text(),
    text=text(),
    outcome=text(),
    packet=text(),
    rule=Rule(required=False, allow_null=True),
)
Undecided = shape("UndecidedMatch", match=text(), rule=text(), modelled=flag())
OtherWay = shape("OtherWay", verdict=text(), reason=text(), steps=TraceStep(many=True), **{"if": texts()})
Remedy = shape("Remedy", text=text(), request=anything(), plan=anything())
Trace = shape(
    "Trace",
    verdict=text(help_text="allowed, dropped, rejected or undecidable"),
    reason=text(),
    code=text(),
    address=text(),
    received=text(),
    decided_by=Rule(required=False, allow_null=True),
    undecided=Undecided(many=True),
    steps=TraceStep(many=True),
    others=OtherWay(many=True),
    remedies=Remedy(many=True),
    rules_at=text(),
    network_at=text(),
    current=flag(),
)
KernelStep = shape("KernelStep", where=text(), text=text(), verdict=text())
Verified = shape(
    "Verified",
    predicted=text(),
    reason=text(),
    answer=text(help_text="connected, answered, refused, unreachable or silence"),
    detail=text(),
    ms=s.FloatField(required=False, allow_null=True),
    kernel=KernelStep(
        many=True, required=False, allow_null=True, help_text="The kernel's own trace; null without nf_tables."
    ),
    agrees=s.BooleanField(required=False, allow_null=True, help_text="Null: what came back does not tell."),
)
Finding = shape(
    "Finding",
    host=text(),
    code=text(),
    severity=text(help_text="danger, warning or notice"),
    sentence=text(),
    remedy=text(),
    rules=s.ListField(child=s.ListField(), required=False),
    subject=text(),
)
Reach = shape("Reach", address=text(), device=text(), verdict=text(), reason=text(), claimed_closed=flag())
Restriction = shape("Restriction", text=text(), calls=anything())
Table = shape("Table", csv=text())
Exposed = shape(
    "Exposed",
    host=text(),
    kind=text(help_text="published or listening"),
    process=text(),
    container=text(),
    container_id=text(),
    protocol=text(),
    host_port=number(),
    container_port=number(),
    published_on=text(),
    allowed_sources=texts(),
    open_to_others=flag(),
    guard=text(help_text="ufw or firewalld, where one of them guards INPUT"),
    misleads=flag(),
    restrictions=Restriction(many=True),
    reaches=Reach(many=True),
)
ReachSource = shape("ReachSource", kind=text(help_text="host, outside or container"), members=texts())
ReachTarget = shape("ReachTarget", kind=text(), members=anything())
Difference = shape("Difference", sources=texts(), targets=texts(), before=text(), after=text())
_VERDICTS = s.ListField(
    child=s.ListField(child=s.CharField()), help_text="One list for each source, one verdict for each target."
)
_ADDRESSES = s.DictField(child=s.CharField(), help_text="By which address each target is called.")
ReachabilityIPv6 = shape(
    "ReachabilityIPv6",
    sources=ReachSource(many=True),
    targets=ReachTarget(many=True),
    verdicts=_VERDICTS,
    addresses=_ADDRESSES,
)
Reachability = shape(
    "Reachability",
    sources=ReachSource(many=True),
    targets=ReachTarget(many=True),
    verdicts=_VERDICTS,
    addresses=_ADDRESSES,
    ipv6=ReachabilityIPv6(help_text="The same by IPv6."),
    differences=Difference(many=True),
)
Moment = shape("Moment", id=number(), at=text(), by=text(), note=text())
MomentRequest = shape("MomentRequest", note=text())
DumpRequest = shape(
    "DumpRequest", iptables_save=text(), ip6tables_save=text(), nft=text(), ipset=text(), flavour=text()
)
DumpedRule = shape(
    "DumpedRule",
    flavour=text(),
    family=text(),
    table=text(),
    chain=text(),
    position=number(),
    text=text(),
    packets=number(),
    bytes=number(),
    opaque=flag(),
    foreign_class=text(),
)
Dump = shape("Dump", rules=DumpedRule(many=True), findings=Finding(many=True), opaque=texts(), flavours=texts())
