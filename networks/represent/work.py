"""What was done and what came of it: operations, the activity log, drift, captures, moments."""

from __future__ import annotations

from networks.models import Activity, Capture, Drift, Moment, Operation

from .values import Json, at


def operation(row: Operation, *, full: bool = False) -> Json:
    """An operation; *full* adds the plan, step by step."""
    value = {
        "id": row.id,
        "number": row.number,
        "host": row.host.name,
        "verb": row.verb,
        "subject": {"kind": row.subject_kind, "id": row.subject_id, "name": row.subject_name},
        "state": row.state,
        "queue": row.queue,
        "created_by": row.created_by,
        "created_at": at(row.created_at),
        "started_at": at(row.started_at),
        "finished_at": at(row.finished_at),
        "step": row.step,
        "done_steps": row.done_steps,
        "total_steps": row.total_steps,
        "plan_summary": (row.plan or {}).get("summary"),
        "result": row.result,
        "error": row.error,
    }
    return value | {"plan": row.plan} if full else value


def activity(row: Activity) -> Json:
    """Who did what."""
    return {
        "id": row.pk,
        "at": at(row.at),
        "actor": row.actor,
        "via": row.via,
        "verb": row.verb,
        "subject": {"kind": row.subject_kind, "id": row.subject_id, "name": row.subject_name},
        "host": row.host,
        "request": row.request,
        "request_id": row.request_id,
        "operation": row.operation_id,
    }


def drift(row: Drift) -> Json:
    """A difference between what is asked for and the kernel."""
    return {
        "id": row.pk,
        "host": row.host.name,
        "key": row.difference.get("key", []),
        "kind": row.kind,
        "resource_kind": row.resource_kind,
        "text": row.text,
        "difference": row.difference.get("fields", {}),
        "owner": row.owner,
        "why": row.why,
        "writer": row.writer,
        "detected_at": at(row.detected_at),
        "resolved_at": at(row.resolved_at),
    }


def capture(row: Capture) -> Json:
    """A packet capture, without its packets."""
    return {
        "id": row.pk,
        "host": row.host.name,
        "subject": {"kind": row.subject_kind, "id": row.subject_id, "name": row.subject_name},
        "network": row.network_name,
        "interface": row.interface,
        "filter": row.filter,
        "seconds": row.seconds,
        "size_limit": row.size_limit,
        "snap_length": row.snap_length,
        "created_by": row.created_by,
        "created_at": at(row.created_at),
        "ended_at": at(row.ended_at),
        "state": row.state,
        "reason": row.reason,
        "packets": row.packets,
        "size": row.size,
        "dropped": row.dropped,
        "operation": row.operation_id,
    }


def moment(row: Moment) -> Json:
    return {"id": row.pk, "at": at(row.at), "by": row.by, "note": row.note}
