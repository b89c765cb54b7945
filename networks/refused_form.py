"""Why a request of a browser was refused that did not prove to come from a page of ours (CSRF), and what helps: for pages and for REST."""

from __future__ import annotations

from django.middleware.csrf import REASON_NO_CSRF_COOKIE

from networks.cnm.text import Text, gettext_noop

ELSEWHERE, NO_COOKIE, SIGNED_OUT, OLD, OLD_SIGN_IN = "elsewhere", "no-cookie", "signed-out", "old", "old-sign-in"
"""What there is to do about it: nothing that this page could; let cookies in; sign in; load the page again; sign in on this one."""
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
        gettext_noop(
            "The page was opened before you signed in the last time, or its cookie was deleted since. Nothing was changed."
        ),
        gettext_noop("Load the page again, then do it once more."),
    ),
    OLD_SIGN_IN: (
        gettext_noop("This page to sign in was an old one, so nobody was signed in."),
        gettext_noop("Sign in here."),
    ),
}


def cause(reason: str, *, signed_in: bool, signing_in: bool = False) -> str:
    """Which of the five it is, by Django's *reason*."""
    if reason.startswith(("Origin checking", "Referer checking")):
        return ELSEWHERE
    if signed_in:  # so a cookie came along, whether or not it was the one that Django missed
        return OLD
    if reason == REASON_NO_CSRF_COOKIE:
        return NO_COOKIE
    return OLD_SIGN_IN if signing_in else SIGNED_OUT


def words(cause: str) -> tuple[Text, Text]:
    """What happened, and what helps."""
    sentence, remedy = _WORDS[cause]
    return Text.of(sentence), Text.of(remedy)
