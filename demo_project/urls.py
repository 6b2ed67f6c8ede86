"""The site: the admin, and at `/` the way there. The API is answered before Django sees it (asgi.py)."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", RedirectView.as_view(url="admin/")),
]
