"""What no address of the service can mean is refused before anything looks at it."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

# As bytes that are not quoted, and quoted.
_NUL = re.compile(r"\x00|%00")


class RefuseNul:
    """Answers 400, in the API's error shape, when the path or the query of an address holds a NUL character.

    PostgreSQL can hold none in text, so that looking anything up by such a word would fail on our side.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path or _NUL.search(request.META.get("QUERY_STRING", "")):
            error = {"code": "invalid", "detail": "An address holds no NUL characters.", "attr": None}
            return JsonResponse({"type": "client_error", "errors": [error]}, status=400)
        return self.get_response(request)
