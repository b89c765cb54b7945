"""Every sentence for people has a translation in every language, with the same places to fill."""

from __future__ import annotations

import gettext
import json
import re
import string
from collections import Counter

import pytest
from django.conf import settings
from django.utils import translation

from networks.cnm.text import Text
from networks.management.commands.messages import SOURCE_LANGUAGE, catalogue, open_entries

LANGUAGES = [code for code, _name in settings.LANGUAGES if code != SOURCE_LANGUAGE]
PLACES = re.compile(r"%\(\w+\)[sd]|</?\w+[^>]*>")
SCRIPTS = {"zh-hans": re.compile("[\u4e00-\u9fff]")}
"""What a sentence of the language is written with: so that none is left in English."""
SENTENCE = re.compile(r"[a-z]+ [a-z]+ [a-z]+")

pytestmark = pytest.mark.parametrize("language", LANGUAGES)


def entries(language: str) -> dict[str, list[str]]:
    """Sentence -> its translations (several where the language has plural forms)."""
    with catalogue(language).with_suffix(".mo").open("rb") as file:
        held = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]  # the only way to all of them
    found: dict[str, list[str]] = {}
    for key, translated in held.items():
        sentence = (key[0] if isinstance(key, tuple) else key).rpartition("\x04")[2]
        if sentence:
            found.setdefault(sentence, []).append(translated)
    return found


def places(sentence: str) -> Counter[str]:
    try:
        named = [name for _text, name, _format, _conversion in string.Formatter().parse(sentence) if name is not None]
    except ValueError:  # braces that are no places
        named = []
    return Counter([*PLACES.findall(sentence), *named])


def test_nothing_is_left_untranslated_or_guessed(language: str) -> None:
    assert open_entries(catalogue(language)) == ""


def test_translations_have_the_places_of_their_sentences(language: str) -> None:
    held = entries(language)
    assert len(held) > 1000, "the catalogue is not the product's"
    wrong = [
        (sentence, translation)
        for sentence, translations in held.items()
        for translation in translations
        if set(places(sentence)) != set(places(translation))
    ]
    assert not wrong


def test_sentences_are_in_the_script_of_the_language(language: str) -> None:
    english = [
        translation
        for sentence, translations in entries(language).items()
        for translation in translations
        if SENTENCE.search(sentence) and not SCRIPTS[language].search(translation)
    ]
    assert not english


def test_words_of_ours_within_a_sentence_are_translated_with_it_and_names_are_not(language: str) -> None:
    told = Text.of("There is no {kind} {reference}.", kind=Text("container"), reference="network")
    kept = Text.from_json(json.loads(json.dumps(told.to_json())))
    with translation.override(language):
        said = kept.translated(translation.gettext)
        word = translation.gettext("container")
    assert kept == told
    assert str(kept) == "There is no container network."
    assert word in said
    assert word != "container"
    assert "network" in said, "a name stays as it is, though a word is spelled alike"
