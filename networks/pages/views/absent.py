"""What answers an address that no page has (``handler404``)."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.views.defaults import page_not_found

from networks.cnm.errors import NotFound
from networks.cnm.text import gettext_noop
from networks.pages import assets
from networks.pages.which_host import NO_PAGES

from ..base import PageRequest, page


def absent(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """In the console's frame for who is signed in, with ways on; to everybody else only that it is not there (``404.html``)."""
    a_page = not request.path_info.startswith(NO_PAGES)
    if a_page and request.user.is_authenticated and assets.is_built():
        return _in_frame(request)
    return page_not_found(request, Http404(str(exception)), template_name="404.html")


@page(write="viewer", any_host=True)
def _in_frame(request: PageRequest) -> HttpResponse:
    raise NotFound(
        gettext_noop("There is no page at {path}."),
        remedy=gettext_noop("Look at the address once more, or search with Ctrl K."),
        path=request.get_full_path(),
    )
