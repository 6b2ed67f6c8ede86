"""Django views of the feed's figures, for a project's own URLs: JSON and Prometheus.

What lives here: the views. What does not: the figures (``feed.status``), and who may see them: wrap the views
in what protects the project's other internal pages.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse

from .feed.metrics import CONTENT_TYPE, prometheus
from .feed.status import FeedStatus
from .runtime import started_runtime


def _status() -> FeedStatus | None:
    runtime = started_runtime()
    return None if runtime is None or runtime.feed is None else runtime.feed.status()


async def feed_status(request: HttpRequest) -> JsonResponse:
    """The feed's figures as JSON; 503 with a ``problem`` while there are no events."""
    status = _status()
    if status is None:
        return JsonResponse({"problem": "this process serves no change feed"}, status=503)
    return JsonResponse(status.as_dict(), status=503 if status.problem else 200)


async def feed_metrics(request: HttpRequest) -> HttpResponse:
    """The feed's figures for Prometheus."""
    return HttpResponse(prometheus(_status()), content_type=CONTENT_TYPE)
