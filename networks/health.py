"""``/health``: whether this web process can do its work, for supervisors, containers and load balancers. It says nothing else."""

from __future__ import annotations

from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from .models import Host
from .represent import is_alive


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """200 when the database answers, 503 otherwise; ``workers`` counts the hosts whose worker lives and those that are silent.

    A silent worker is not this process's illness: reads go on without it.
    """
    try:
        hosts = [is_alive(host) for host in Host.objects.all()]
    except DatabaseError:
        return JsonResponse({"status": "database unavailable"}, status=503)
    return JsonResponse({"status": "ok", "workers": {"alive": sum(hosts), "silent": len(hosts) - sum(hosts)}})
