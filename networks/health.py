"""``/health``: whether this web process can do its work, for supervisors, containers and load balancers. It says nothing else."""

from __future__ import annotations

from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from .models import Host
from .represent import is_alive


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """200 when the database answers, 503 otherwise; ``workers`` counts the hosts whose worker lives, those that are silent, and among
    these the ones whose worker said why it cannot start (the host's page shows it).

    A silent worker is not this process's illness: reads go on without it.
    """
    try:
        hosts = list(Host.objects.all())
    except DatabaseError:
        return JsonResponse({"status": "database unavailable"}, status=503)
    alive = sum(map(is_alive, hosts))
    failed = sum(host.error is not None for host in hosts)
    return JsonResponse({"status": "ok", "workers": {"alive": alive, "silent": len(hosts) - alive, "failed": failed}})
