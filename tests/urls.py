"""URLs of the tests' site: the admin, and the API as Django views."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("aiodata_django.urls")),
]
