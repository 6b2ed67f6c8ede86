"""URLs of the tests' site: the admin, and the API as Django views."""

from django.contrib import admin
from django.urls import include, path

from aiodata_django.statusviews import feed_metrics, feed_status

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("aiodata_django.urls")),
    path("internal/feed", feed_status),
    path("internal/metrics", feed_metrics),
]
