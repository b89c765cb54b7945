"""The paths of the REST API, version 1."""

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView

from . import problems
from . import views_audit as audit
from . import views_bulk as bulk
from . import views_captures as captures
from . import views_containers as containers
from . import views_encryption as encryption
from . import views_history as past
from . import views_host as host
from . import views_joining as joining
from . import views_names as names
from . import views_networks as networks
from . import views_terminals as terminals
from . import views_topology as topology

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("v1/networks", networks.Networks.as_view()),
    path("v1/networks/<str:ref>", networks.OneNetwork.as_view()),
    path("v1/networks/<str:ref>/connect", networks.Connect.as_view()),
    path("v1/networks/<str:ref>/disconnect", networks.Disconnect.as_view()),
    path("v1/containers", containers.Containers.as_view()),
    path("v1/containers/<str:ref>", containers.OneContainer.as_view()),
    path("v1/containers/<str:ref>/start", containers.Start.as_view()),
    path("v1/containers/<str:ref>/stop", containers.Stop.as_view()),
    path("v1/containers/<str:ref>/restart", containers.Restart.as_view()),
    path("v1/containers/<str:ref>/kill", containers.Kill.as_view()),
    path("v1/containers/<str:ref>/pause", containers.Pause.as_view()),
    path("v1/containers/<str:ref>/unpause", containers.Unpause.as_view()),
    path("v1/containers/<str:ref>/rename", containers.Rename.as_view()),
    path("v1/containers/<str:ref>/exec", containers.Exec.as_view()),
    path("v1/containers/<str:ref>/look-up", names.LookUpInside.as_view()),
    path("v1/containers/<str:ref>/terminals", terminals.OpenTerminal.as_view()),
    path("v1/containers/<str:ref>/commit", containers.Commit.as_view()),
    path("v1/containers/<str:ref>/ports", containers.Ports.as_view()),
    path("v1/containers/<str:ref>/ports/<str:port_id>", containers.OnePort.as_view()),
    path("v1/containers/<str:ref>/files", containers.Files.as_view()),
    path("v1/containers/<str:ref>/files/lines", names.Lines.as_view()),
    path("v1/containers/<str:ref>/environment", names.Environment.as_view()),
    path("v1/containers/<str:ref>/wait", containers.Wait.as_view()),
    path("v1/containers/<str:ref>/logs", containers.Logs.as_view()),
    path("v1/captures", captures.Captures.as_view()),
    path("v1/captures/<str:ref>", captures.OneCapture.as_view()),
    path("v1/captures/<str:ref>/stop", captures.StopCapture.as_view()),
    path("v1/captures/<str:ref>/file", captures.CaptureFile.as_view()),
    path("v1/terminals", terminals.Terminals.as_view()),
    path("v1/terminals/<str:ref>", terminals.OneTerminal.as_view()),
    path("v1/bulk", bulk.CreateMany.as_view()),
    path("v1/bulk/start", bulk.StartMany.as_view()),
    path("v1/bulk/stop", bulk.StopMany.as_view()),
    path("v1/bulk/remove", bulk.RemoveMany.as_view()),
    path("v1/endpoints", containers.Endpoints.as_view()),
    path("v1/links", containers.Links.as_view()),
    path("v1/links/<str:ref>", containers.OneLink.as_view()),
    path("v1/files", names.FilesOfAll.as_view()),
    path("v1/names", names.Names.as_view()),
    path("v1/hosts", host.Hosts.as_view()),
    path("v1/hosts/join", joining.Join.as_view()),
    path("v1/hosts/join-tokens", joining.JoinTokens.as_view()),
    path("v1/hosts/join-tokens/<str:ref>", joining.OneJoinToken.as_view()),
    path("v1/hosts/<str:name>", host.OneHost.as_view()),
    path("v1/hosts/<str:name>/drain", host.Drain.as_view()),
    path("v1/hosts/<str:name>/activate", host.Activate.as_view()),
    path("v1/associations", encryption.Associations.as_view()),
    path("v1/associations/rotate", encryption.Rotate.as_view()),
    path("v1/firewall/rules", host.FirewallRules.as_view()),
    path("v1/firewall/trace", audit.TraceView.as_view()),
    path("v1/firewall/verify", audit.Verify.as_view()),
    path("v1/firewall/dumps", audit.Dumps.as_view()),
    path("v1/findings", audit.Findings.as_view()),
    path("v1/reachability", audit.Reachability.as_view()),
    path("v1/reachability/moments", audit.Moments.as_view()),
    path("v1/exposure", audit.Exposure.as_view()),
    path("v1/exposure.csv", audit.ExposureTable.as_view()),
    path("v1/drift", host.Drifts.as_view()),
    path("v1/drift/repair", host.Repair.as_view()),
    path("v1/drift/look", host.Look.as_view()),
    path("v1/images", host.Images.as_view()),
    path("v1/images/<path:ref>", host.OneImage.as_view()),
    path("v1/operations", host.Operations.as_view()),
    path("v1/operations/<str:ref>", host.OneOperation.as_view()),
    path("v1/operations/<str:ref>/retry", host.RetryOperation.as_view()),
    path("v1/activity", host.Activities.as_view()),
    path("v1/me", host.Me.as_view()),
    path("v1/tokens", host.Tokens.as_view()),
    path("v1/tokens/<str:ref>", host.OneToken.as_view()),
    path("v1/topology", topology.Topology.as_view()),
    path("v1/topology/compose", topology.Compose.as_view()),
    path("v1/events", host.Events.as_view()),
    path("v1/history", past.Span.as_view()),
    path("v1/history/state", past.StateThen.as_view()),
    path("v1/history/rules", past.RulesThen.as_view()),
    path("v1/history/changes", past.Changes.as_view()),
    re_path(r"^.*$", problems.unknown_path),
]
