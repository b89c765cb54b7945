"""Building the product in a root-owned place of its own, from the tree that ``make`` runs in."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from layout import PREFIX, PYTHON, TREE, hash_of, run, say

SKIPPED = (".git", "node_modules", ".venv", "dist", "staticfiles", "__pycache__", ".mypy_cache", ".ruff_cache")


def install_tree(prefix: Path = PREFIX) -> str:
    """Copy the tree below *prefix*, build everything there, then switch to it at once; empty when it was there already.

    All links are relative, so that the whole of it may be seen at another place (``make demo`` does so).
    """
    files = tree_files()
    version = hash_of(part for path in files for part in (str(path.relative_to(TREE)).encode(), path.read_bytes()))
    release, current = prefix / "releases" / version, prefix / "current"
    if current.is_symlink() and current.resolve() == release.resolve():
        return ""
    if release.exists():  # a run that was interrupted
        shutil.rmtree(release)
    say("")  # what follows takes a while and says so, each on a line of its own
    release.mkdir(parents=True)
    for path in files:
        target = release / path.relative_to(TREE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    _build(release, prefix)
    _switch(release, current)
    _remove_old(release)
    return f"release {version}"


def tree_files() -> list[Path]:
    """The files of the product: what git knows, or (without git) everything that is not built."""
    if (TREE / ".git").exists() and shutil.which("git"):
        options = ["-c", f"safe.directory={TREE}", "-C", TREE]
        listed = run(["git", *options, "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        return sorted(TREE / name for name in listed.split("\0") if name and (TREE / name).is_file())
    found = []
    for folder, names, files in os.walk(TREE):
        names[:] = [name for name in names if name not in SKIPPED]
        found += [Path(folder) / name for name in files]
    return sorted(found)


def _build(release: Path, prefix: Path) -> None:
    venv = _install_python(release, prefix)
    (release / "venv").symlink_to(os.path.relpath(venv, release))
    _install_front(release)
    _compile_translations(release)
    nowhere = tempfile.mkdtemp()
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(release),
        "CNM_STATE_DIR": nowhere,
        "CNM_RUN_DIR": nowhere,
        "CNM_STATIC_ROOT": str(release / "staticfiles"),
    }
    python = release / "venv/bin/python"
    run([python, release / "manage.py", "collectstatic", "--noinput", "-v0"], cwd=release, env=env)
    shutil.rmtree(nowhere)
    run([python, "-m", "compileall", "-q", release], cwd=release, env=env)


def _install_python(release: Path, prefix: Path) -> Path:
    """The virtual environment of these lock files; one is shared by all releases with the same."""
    lock = release / "requirements/base.txt"
    venv = prefix / "venvs" / hash_of([lock.read_bytes(), sys.version.encode()])
    if (venv / "complete").exists():
        return venv
    say("    Python packages (a minute or two)")
    shutil.rmtree(venv, ignore_errors=True)
    run([PYTHON, "-m", "venv", venv])
    run([venv / "bin/pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", lock])
    (venv / "complete").touch()
    return venv


def _install_front(release: Path) -> None:
    say("    console (npm)")
    run(["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=release)
    run(["node", "build.mjs"], cwd=release)
    shutil.rmtree(release / "node_modules")


def _compile_translations(release: Path) -> None:
    for catalogue in (release / "locale").rglob("*.po"):
        run(["msgfmt", "--check", f"--output-file={catalogue.with_suffix('.mo')}", catalogue])


def _switch(release: Path, current: Path) -> None:
    beside = current.with_name("current.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(os.path.relpath(release, current.parent))
    beside.rename(current)


def _remove_old(release: Path) -> None:
    """Keep the release before this one, for processes that still run from it."""
    others = sorted(
        (path for path in release.parent.iterdir() if path != release), key=lambda path: path.stat().st_mtime
    )
    for path in others[:-1]:
        shutil.rmtree(path, ignore_errors=True)
