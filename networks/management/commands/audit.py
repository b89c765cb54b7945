"""``manage.py audit``: findings and exposure of this host, or of saved rules, for scripts. It exits with 1 where something was found."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from networks.cnm.errors import CnmError
from networks.cnm.findings import DANGER, NOTICE, WARNING, Finding
from networks.cnm.ruleset.model import IPTABLES_NFT, LEGACY
from networks.exposure import Exposed, exposure
from networks.findings import findings, findings_of_dump
from networks.models import Host, Observation
from networks.services.dumps import make_dump, texts_of

FOUND, FAILED = 1, 2
SEVERITIES = (NOTICE, WARNING, DANGER)
SARIF_LEVELS = {NOTICE: "note", WARNING: "warning", DANGER: "error"}
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


class Command(BaseCommand):
    help = "Print what an admin should know of this host's rules, and which ports are exposed. Exit code 1: something was found."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--from-file",
            action="append",
            default=[],
            metavar="FILE",
            help="what iptables-save, ip6tables-save, ipset save or nft -j list ruleset printed (- for standard input); again for more",
        )
        parser.add_argument("--flavour", choices=(LEGACY, IPTABLES_NFT), default=LEGACY, help="of saved iptables rules")
        parser.add_argument("--format", choices=("text", "json", "sarif"), default="text")
        parser.add_argument("--least", choices=SEVERITIES, default=NOTICE, help="the least severity that is told")
        parser.add_argument("--host", default=settings.HOST_NAME)

    def handle(self, *args: Any, **options: Any) -> None:
        found, exposed = self._offline(options) if options["from_file"] else self._here(options["host"])
        least = SEVERITIES.index(options["least"])
        told = [finding for finding in found if SEVERITIES.index(finding.severity) >= least]
        write = {"text": as_text, "json": as_json, "sarif": as_sarif}[options["format"]]
        self.stdout.write(write(told, exposed))
        if told:
            sys.exit(FOUND)

    def _here(self, name: str) -> tuple[list[Finding], list[Exposed]]:
        host = Host.objects.filter(name=name).first()
        if host is None or not Observation.objects.filter(host=host, kind="rules").exists():
            raise CommandError(f"The worker of host {name} has not looked at its rules yet.", returncode=FAILED)
        return findings(host), exposure(host)

    @staticmethod
    def _offline(options: dict[str, Any]) -> tuple[list[Finding], list[Exposed]]:
        try:
            texts = texts_of([_read(name) for name in options["from_file"]])
            _, found = findings_of_dump(make_dump(texts, options["flavour"]))
        except (CnmError, ValueError, IndexError, OSError) as error:
            raise CommandError(str(error), returncode=FAILED) from error
        return found, []


def _read(name: str) -> str:
    return sys.stdin.read() if name == "-" else Path(name).read_text(errors="replace")


def as_text(found: Sequence[Finding], exposed: Sequence[Exposed]) -> str:
    lines = [f"{one.severity}: {one.subject}: {one.sentence} {one.remedy}".strip() for one in found]
    for one in exposed:
        whose = one.container or one.process or "a program of the host"
        state = "open" if one.open_to_others else "closed"
        note = f", though {one.guard} calls it closed" if one.misleads else ""
        where = ", ".join(f"{reach.address} ({reach.device})" for reach in one.reaches if reach.verdict == "allowed")
        at = f", reached at {where}" if where else ""
        lines.append(f"{state}: {one.host_port}/{one.protocol} of {whose}{at}{note}")
    return "\n".join(lines) or "Nothing was found."


def as_json(found: Sequence[Finding], exposed: Sequence[Exposed]) -> str:
    value = {"findings": [one.to_json() for one in found], "exposure": [one.to_json() for one in exposed]}
    return json.dumps(value, indent=2)


def as_sarif(found: Sequence[Finding], exposed: Sequence[Exposed]) -> str:
    """SARIF 2.1.0 (OASIS): a result for each finding, placed by the names of its rules; a port that misleads is one too."""
    results = [
        _result(one.code, SARIF_LEVELS[one.severity], f"{one.sentence} {one.remedy}", _places(one)) for one in found
    ]
    codes = sorted({result["ruleId"] for result in results})
    driver = {
        "name": "CNM Web",
        "version": settings.VERSION,
        "rules": [{"id": code, "name": code, "shortDescription": {"text": code.replace("_", " ")}} for code in codes],
    }
    open_ports = [f"{one.host_port}/{one.protocol}" for one in exposed if one.open_to_others]
    run = {"tool": {"driver": driver}, "results": results, "properties": {"openPorts": open_ports}}
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _places(finding: Finding) -> list[str]:
    return ["/".join(map(str, key)) for key in finding.rules] or [finding.subject]


def _result(code: str, level: str, text: str, places: Sequence[str]) -> dict[str, Any]:
    where = [{"logicalLocations": [{"fullyQualifiedName": place}]} for place in places]
    return {"ruleId": code, "level": level, "message": {"text": text.strip()}, "locations": where}
