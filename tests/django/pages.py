"""The admin's pages as a browser meets them: their addresses, their forms, and rows to show on them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from django.db import connections
from django.urls import reverse

from aiodata_django import registry


def model(name, schema="api"):
    return registry.model(schema, name)


def url(table, page, *key, schema="api"):
    name = model(table, schema)._meta.model_name
    return reverse(f"admin:aiodata_{name}_{page}", args=key)


def sql(text, *parameters):
    with connections["aiodata"].cursor() as cursor:
        cursor.execute(text, parameters)
        return cursor.fetchall() if cursor.description else []


def form_data(response) -> dict[str, Any]:
    """What a browser would send back of a form nobody touched."""
    form = response.context["adminform"].form
    sent: dict[str, Any] = {}
    for bound in form:
        for subname, value in _inputs(str(bound)):
            sent[subname] = value
    return sent


def _inputs(html):
    class Inputs(HTMLParser):
        def __init__(self):
            super().__init__()
            self.found, self.area, self.select = [], None, None

        def handle_starttag(self, tag, attrs):
            attrs = dict(attrs)
            if tag == "input" and (attrs.get("type") != "checkbox" or "checked" in attrs):
                self.found.append(
                    (attrs["name"], attrs.get("value", "on" if attrs["type"] == "checkbox" else ""))
                )
            elif tag == "textarea":
                self.area = [attrs["name"], ""]
            elif tag == "select":
                self.select = attrs["name"]
            elif tag == "option" and "selected" in attrs:
                self.found.append((self.select, attrs.get("value", "")))

        def handle_data(self, text):
            if self.area:
                self.area[1] += text

        def handle_endtag(self, tag):
            if tag == "textarea":
                name, text = self.area
                # Browsers drop the first line end and send CRLF for the others.
                self.found.append(
                    (name, re.sub("\r?\n", "\r\n", text.removeprefix("\r\n").removeprefix("\n")))
                )
                self.area = None

    parser = Inputs()
    parser.feed(html)
    return parser.found


def pet(**values):
    return model("pets").objects.create(**{"type": "Dog", "breed": "Poodle", "name": "Rex", **values})
