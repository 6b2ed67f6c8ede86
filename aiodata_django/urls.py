"""URL patterns for ``include("aiodata_django.urls")``: description, ``query/…``, ``rest/…``, ``docs/``."""

from django.urls import path, re_path

from .conf import current
from .core.query.request import Dialect
from .views import api_view, describe, docs

app_name = "aiodata"

_query, _rest = (mount.lstrip("/") for mount in (current().query_path, current().rest_path))

urlpatterns = [
    path("", describe, name="description"),
    re_path(rf"^{_query}(?P<rest>/.*)?$", api_view(Dialect.QUERY), name="query"),
    re_path(rf"^{_rest}(?P<rest>/.*)?$", api_view(Dialect.REST), name="rest"),
]

if (_docs := current().docs_path) is not None:
    # Without its slash Django's APPEND_SLASH finds it.
    urlpatterns += [path(f"{_docs.lstrip('/')}/{file}", docs, name="docs") for file in ("", "<str:name>")]
