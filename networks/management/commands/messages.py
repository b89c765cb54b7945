"""``manage.py messages``: bring the catalogues of ``locale/`` up to what the code and the templates say now, and list what is open."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.core.management.commands import makemessages

SOURCE_LANGUAGE = "en"
IGNORED = ("tests/*", "benchmarks/*", "install/*", "node_modules/*", "static/*", "staticfiles/*", "var/*", ".venv/*")
UNTRANSLATED = ("--untranslated", "--only-fuzzy")


class Extraction(makemessages.Command):
    """Django's own, but it never guesses a translation from a sentence that looks alike."""

    msgmerge_options: ClassVar = [*makemessages.Command.msgmerge_options, "--no-fuzzy-matching"]


class Command(BaseCommand):
    help = "Update the catalogues of locale/ from the sources, and list the sentences without a translation."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        codes = [code for code, _name in settings.LANGUAGES if code != SOURCE_LANGUAGE]
        for code in codes:
            (catalogue(code).parent).mkdir(parents=True, exist_ok=True)
        call_command(
            Extraction(),
            locale=[catalogue(code).parents[1].name for code in codes],
            ignore_patterns=list(IGNORED),
            add_location="file",
            no_wrap=True,
            no_obsolete=True,
            verbosity=0,
        )
        missing = "".join(open_entries(catalogue(code)) for code in codes)
        if missing:
            raise CommandError(f"Without a translation:\n{missing}")
        self.stdout.write("Everything is translated.")


def catalogue(code: str) -> Path:
    """The catalogue of a language of the settings: ``locale/zh_Hans/LC_MESSAGES/django.po`` for ``zh-hans``."""
    language, _dash, script = code.partition("-")
    name = f"{language}_{script.capitalize()}" if script else language
    return Path(settings.LOCALE_PATHS[0]) / name / "LC_MESSAGES" / "django.po"


def open_entries(path: Path) -> str:
    """The entries of a catalogue that have no translation, or one that nobody has looked at."""
    found = ""
    for choice in UNTRANSLATED:
        command = ["msgattrib", choice, "--no-obsolete", "--no-wrap", str(path)]
        found += subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return found
