"""Certificates that vouch for themselves, for servers that tests start."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """Two files: what everybody may read, and what the server alone has."""

    public: Path
    private: Path


def certificate(folder: Path, name: str, address: str) -> Certificate:
    """One for the server at *address*, good for two days, in *folder*."""
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{address}"]
    files = ["-keyout", made.private, "-out", made.public, "-days", "2"]
    subprocess.run([*words, *subject, *files], check=True, capture_output=True, timeout=20)
    return made
