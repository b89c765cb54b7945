"""Why a request of a browser was refused that did not prove to come from a page of ours (CSRF), and what helps: for pages and for REST."""

from __future__ import annotations

from django.middleware.csrf import REASON_NO_CSRF_COOKIE

from networks.cnm.text import Text, gettext_noop

ELSEWHERE, NO_COOKIE, SIGNED_OUT, OLD = "elsewhere", "no-cookie", "signed-out", "old"
"""What there is to do about it: nothing that this page could; let cookies in; sign in; load the page again."""
_WORDS = {
    ELSEWHERE: (
        gettext_noop("This was sent from an address that the console does not know as its own. Nothing was changed."),
        gettext_noop("Open the console by its own address; behind a proxy, have CNM_TRUSTED_ORIGINS name the proxy's."),
    ),
    NO_COOKIE: (
        gettext_noop("Your browser sent no cookie along, so nobody can tell that it was you. Nothing was changed."),
        gettext_noop("Allow cookies for this console, load the page again and sign in."),
    ),
    SIGNED_OUT: (
        gettext_noop("You are not signed in any more. Nothing was changed."),
        gettext_noop("Sign in again, then do it once more."),
    ),
    OLD: (
        gettext_noop("The page was opened before you signed in the last time. Nothing was changed."),
        gettext_noop("Load the page again, then do it once more."),
    ),
}


def cause(reason: str, *, signed_in: bool) -> str:
    """Which of the four it is, by Django's *reason*."""
    if reason.startswith(("Origin checking", "Referer checking")):
        return ELSEWHERE
    if reason == REASON_NO_CSRF_COOKIE:
        return NO_COOKIE
    return OLD if signed_in else SIGNED_OUT


def words(cause: str) -> tuple[Text, Text]:
    """What happened, and what helps."""
    sentence, remedy = _WORDS[cause]
    return Text.of(sentence), Text.of(remedy)
