"""Shapes for OpenAPI alone: requests are read by ``networks.services.spec_*``, answers are made by ``networks.represent``.

A test holds the fields here against those.
"""

from __future__ import annotations

from rest_framework import serializers as s

from .schema_fields import anything, flag, mapping, number, shape, text, texts

Problem = shape(
    "Problem",
    type=text(),
    title=text(),
    status=number(),
    code=text(),
    detail=text(),
    remedy=text(),
    field=text(),
    subject=text(),
    facts=anything(),
    operation=text(),
)
Reference = shape("Reference", id=text(), name=text())
OwnerShape = shape("Owner", kind=text(), id=text(), name=text())
SubnetRequest = shape("SubnetRequest", subnet=s.CharField(), gateway=text(), ip_range=text(), aux_addresses=mapping())
NetworkRequest = shape(
    "NetworkRequest",
    name=s.CharField(),
    driver=text(),
    internal=flag(),
    attachable=flag(),
    enable_ipv6=flag(),
    subnets=SubnetRequest(many=True, required=False),
    options=mapping(),
    ipam_driver=text(),
    ipam_options=mapping(),
    labels=mapping(),
)
NetworkChanges = shape(
    "NetworkChanges",
    labels=mapping(),
    options=s.DictField(child=s.CharField(allow_null=True), required=False),
    internal=flag(),
    attachable=flag(),
    enable_ipv6=flag(),
    subnets=SubnetRequest(many=True, required=False),
)
Plugin = shape(
    "Plugin",
    name=text(),
    address=text(),
    implements=texts(),
    scope=text(),
    state=text(),
    problem=anything(),
    since=text(),
    owed=number(),
)
Subnet = shape(
    "Subnet",
    subnet=text(),
    gateway=text(),
    ip_range=text(),
    aux_addresses=mapping(),
    vni=number(),
    in_use=number(),
    available=number(),
)
_ENDPOINT = {
    "id": text,
    "ipv4": text,
    "ipv6": text,
    "mac": text,
    "aliases": texts,
    "interface": text,
    "device": text,
    "gw_priority": number,
    "sysctls": mapping,
    "driver_opts": mapping,
    "info": mapping,
}
Endpoint = shape(
    "Endpoint",
    **{name: make() for name, make in _ENDPOINT.items()},
    host=text(),
    network=Reference(required=False),
    container=Reference(required=False),
)
NetworkEndpoint = shape(
    "NetworkEndpoint", **{name: make() for name, make in _ENDPOINT.items()}, container=Reference(required=False)
)
ContainerEndpoint = shape(
    "ContainerEndpoint",
    **{name: make() for name, make in _ENDPOINT.items()},
    gateway=text(),
    network=Reference(required=False),
)
Network = shape(
    "Network",
    id=text(),
    short_id=text(),
    name=text(),
    driver=text(),
    scope=text(),
    vni=number(),
    internal=flag(),
    attachable=flag(),
    enable_ipv6=flag(),
    predefined=flag(),
    subnets=Subnet(many=True, required=False),
    options=mapping(),
    driver_state=mapping(),
    ipam_driver=text(),
    ipam_options=mapping(),
    plugins=Plugin(many=True, required=False),
    labels=mapping(),
    bridge=text(),
    mtu=number(),
    status=text(),
    error=anything(),
    activation=number(),
    created_at=text(),
    created_by=text(),
    host=text(),
    endpoints=NetworkEndpoint(many=True, required=False),
)
DisconnectRequest = shape("DisconnectRequest", container=s.CharField(), force=flag())
PortSpec = shape(
    "PortSpec",
    container_port=s.IntegerField(),
    host_port=number(),
    host_port_end=number(),
    host_address=text(),
    protocol=text(),
    allowed_sources=texts(),
)
_ATTACH = {
    "ipv4": text,
    "ipv6": text,
    "mac": text,
    "aliases": texts,
    "driver_opts": mapping,
    "gw_priority": number,
}
ConnectRequest = shape("ConnectRequest", container=s.CharField(), **{name: make() for name, make in _ATTACH.items()})
Attach = shape("Attach", network=s.CharField(), **{name: make() for name, make in _ATTACH.items()})
RestartPolicy = shape("RestartPolicySpec", name=text(), max_retries=number())
HealthCheck = shape(
    "HealthCheckSpec",
    test=s.JSONField(help_text='["CMD", …words] or ["CMD-SHELL", line]; a string is a line for the shell.'),
    interval=s.FloatField(required=False, help_text="Seconds, as all times here."),
    timeout=s.FloatField(required=False),
    start_period=s.FloatField(required=False),
    start_interval=s.FloatField(required=False),
    retries=number(),
)
Adopt = shape("Adopt", path=text(), pid=number())
ContainerRequest = shape(
    "ContainerRequest",
    name=text(),
    kind=text(),
    image=text(),
    command=texts(),
    entrypoint=texts(),
    env=mapping(),
    network=text(),
    networks=Attach(many=True, required=False),
    ipv4=text(),
    ipv6=text(),
    mac=text(),
    aliases=texts(),
    driver_opts=mapping(),
    ports=s.ListField(
        child=s.JSONField(), required=False, help_text='Strings such as "127.0.0.1:8080:80/tcp", or PortSpec objects.'
    ),
    publish_all=flag(),
    exposed_ports=texts(),
    links=texts(),
    hostname=text(),
    domainname=text(),
    dns=texts(),
    dns_search=texts(),
    dns_options=texts(),
    extra_hosts=texts(),
    user=text(),
    working_dir=text(),
    tty=flag(),
    open_stdin=flag(),
    stdin_once=flag(),
    init=flag(),
    restart_policy=RestartPolicy(required=False),
    stop_signal=text(),
    stop_timeout=number(),
    healthcheck=HealthCheck(required=False),
    memory=number(),
    cpus=s.FloatField(required=False),
    pids_limit=number(),
    binds=texts(),
    tmpfs=texts(),
    labels=mapping(),
    auto_remove=flag(),
    adopt=Adopt(required=False),
    start=flag(),
)
PortSources = shape("PortSources", allowed_sources=texts())
Port = shape(
    "Port",
    id=text(),
    protocol=text(),
    host_address=text(),
    host_port=number(),
    container_port=number(),
    allowed_sources=texts(),
)
Files = shape("Files", hosts=text(), hostname=text(), **{"resolv.conf": text()})
ContainerLink = shape("ContainerLink", id=text(), source=Reference(required=False), alias=text())
LinkedBy = shape("LinkedBy", id=text(), recipient=Reference(required=False), alias=text())
Container = shape(
    "Container",
    id=text(),
    short_id=text(),
    name=text(),
    kind=text(),
    image=text(),
    command=texts(),
    entrypoint=texts(),
    env=mapping(),
    hostname=text(),
    domainname=text(),
    user=text(),
    working_dir=text(),
    tty=flag(),
    init=flag(),
    dns=texts(),
    dns_search=texts(),
    dns_options=texts(),
    extra_hosts=texts(),
    exposed_ports=texts(),
    publish_all=flag(),
    stop_signal=text(),
    stop_timeout=number(),
    healthcheck=HealthCheck(required=False),
    health=text(),
    memory=number(),
    cpus=s.FloatField(required=False),
    pids_limit=number(),
    binds=texts(),
    tmpfs=texts(),
    labels=mapping(),
    network_mode=text(),
    state=text(),
    wanted=text(),
    pid=number(),
    exit_code=number(),
    error=anything(),
    restart_policy=RestartPolicy(required=False),
    restart_count=number(),
    auto_remove=flag(),
    created_at=text(),
    created_by=text(),
    started_at=text(),
    finished_at=text(),
    host=text(),
    sandbox=text(),
    endpoints=ContainerEndpoint(many=True, required=False),
    ports=Port(many=True, required=False),
    links=ContainerLink(many=True, required=False),
    linked_by=LinkedBy(many=True, required=False),
    files=Files(required=False),
)
StopRequest = shape("StopRequest", timeout=number(), signal=text())
KillRequest = shape("KillRequest", signal=text())
RenameRequest = shape("RenameRequest", name=s.CharField())
CommitRequest = shape("CommitRequest", image=s.CharField())
PublishRequest = shape("PublishRequest", ports=s.ListField(child=s.JSONField()))
ExecRequest = shape(
    "ExecRequest",
    command=s.ListField(child=s.CharField()),
    env=mapping(),
    user=text(),
    working_dir=text(),
    timeout=number(),
)
WaitAnswer = shape("WaitAnswer", state=text(), exit_code=number())
BulkRequest = shape(
    "BulkRequest",
    networks=NetworkRequest(many=True, required=False),
    containers=ContainerRequest(many=True, required=False),
)
BulkStart = shape("BulkStart", containers=texts())
BulkStop = shape("BulkStop", containers=texts(), timeout=number())
BulkRemove = shape("BulkRemove", containers=texts(), networks=texts(), force=flag())
BulkAnswer = shape("BulkAnswer", networks=texts(), containers=texts(), warnings=texts())
LinkRequest = shape("LinkRequest", recipient=s.CharField(), source=s.CharField(), alias=text())
Link = shape(
    "Link", id=text(), host=text(), recipient=Reference(required=False), source=Reference(required=False), alias=text()
)
Subject = shape("Subject", kind=text(), id=text(), name=text())
Operation = shape(
    "Operation",
    id=text(),
    number=number(),
    host=text(),
    verb=text(),
    subject=Subject(required=False),
    state=text(),
    queue=text(),
    created_by=text(),
    created_at=text(),
    started_at=text(),
    finished_at=text(),
    step=text(),
    done_steps=number(),
    total_steps=number(),
    plan_summary=anything(),
    result=anything(),
    error=anything(),
    plan=anything(),
)
Asked = shape("Asked", verb=text(), queue=text(), subject=Subject(required=False))
Preview = shape(
    "Preview",
    plan=anything(),
    operation=Asked(required=False, allow_null=True),
    result=anything(),
    warnings=texts(),
    facts_age_s=s.FloatField(required=False, allow_null=True),
    reachability=anything(),
    elsewhere=anything(),
    stays_behind=anything(),
)
Accepted = shape("Accepted", operation=Operation(), object=anything())
Host = shape(
    "Host",
    id=text(),
    name=text(),
    hostname=text(),
    kernel=text(),
    addresses=anything(),
    nameservers=texts(),
    devices=anything(),
    features=anything(),
    plugins=Plugin(many=True, required=False),
    firewall_backend=text(),
    firewall_reason=anything(),
    firewall_warning=anything(),
    facts_at=text(),
    heartbeat_at=text(),
    alive=flag(),
    connections=anything(),
    drained=flag(),
    removing=flag(),
    error=anything(),
    worker_version=text(),
    settings=anything(),
)
ImageRequest = shape("ImageRequest", name=s.CharField(), source=s.CharField())
Image = shape(
    "Image",
    id=number(),
    name=text(),
    kind=text(),
    source=text(),
    status=text(),
    digest=text(),
    size=number(),
    config=anything(),
    error=anything(),
    created_at=text(),
    host=text(),
)
Activity = shape(
    "Activity",
    id=number(),
    at=text(),
    actor=text(),
    via=text(),
    verb=text(),
    subject=Subject(required=False),
    host=text(),
    request=anything(),
    request_id=text(),
    operation=text(),
)
User = shape("User", id=number(), name=text(), role=text(), active=flag(), last_login=text(), effective_role=text())
TokenRequest = shape("TokenRequest", name=s.CharField(), role=text(), expires_at=text())
_TOKEN = ("id", "name", "prefix", "role", "user", "created_at", "expires_at", "last_used_at")
Token = shape("Token", **{name: text() for name in _TOKEN})
NewToken = shape("NewToken", **{name: text() for name in _TOKEN}, token=text())
Topology = shape("Topology", hosts=Host(many=True), networks=Network(many=True), containers=Container(many=True))
DesiredState = shape(
    "DesiredState",
    version=number(),
    networks=s.DictField(
        child=s.JSONField(), required=False, help_text="Name -> NetworkRequest without its name, or null."
    ),
    containers=s.DictField(
        child=s.JSONField(), required=False, help_text="Name -> ContainerRequest without its name, or null."
    ),
)
TopologyChange = shape("TopologyChange", kind=text(), name=text(), action=text(), fields=texts(), because=text())
LeftAlone = shape("LeftAlone", networks=texts(), containers=texts())
TopologyChanges = shape(
    "TopologyChanges",
    changes=TopologyChange(many=True, required=False),
    left_alone=LeftAlone(required=False),
    operation=Operation(required=False, allow_null=True),
    warnings=texts(),
)
ComposeRequest = shape(
    "ComposeRequest",
    compose=s.CharField(help_text="The Compose file, as text."),
    variables=s.JSONField(required=False, help_text="Name -> value, or the text of an .env file."),
)
ComposeNote = shape("ComposeNote", path=text(), text=text())
ComposeImport = shape("ComposeImport", file=text(), notes=ComposeNote(many=True, required=False))
