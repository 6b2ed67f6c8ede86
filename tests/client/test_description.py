"""The description of the schema, and what importing the client brings along."""

import subprocess
import sys

import pytest

from aiodata_django.client import Error
from aiodata_django.client.description import descriptions

PETS = {
    "pets": {
        "type": {"main": True, "type": "text", "dims": 0, "null": False, "info": None, "refs": [None, None]},
        "owner": {
            "main": False,
            "type": "int4",
            "dims": 0,
            "null": True,
            "info": "who",
            "refs": ["people", "id"],
        },
        "name": {"main": True, "type": "text", "dims": 0, "null": False, "info": None, "refs": [None, None]},
    }
}


def test_fields_come_in_order_and_by_name():
    (pets,) = descriptions(PETS)
    assert [field.name for field in pets.fields] == ["type", "owner", "name"]
    assert pets.fields.owner == pets.fields["owner"] == pets.fields[1]
    assert pets.fields.owner.refs == ("people", "id")
    assert pets.fields.type.refs == (None, None)
    assert (len(pets.fields), "owner" in pets.fields) == (3, True)
    assert pets.key == ("type", "name")
    with pytest.raises(AttributeError):
        pets.fields.color  # noqa: B018
    with pytest.raises(KeyError):
        pets.fields["color"]


def test_what_is_no_description_is_an_error():
    with pytest.raises(Error, match="no description"):
        descriptions([1])


def test_importing_the_client_brings_neither_django_nor_psycopg():
    code = """
import sys, aiodata_django.client as client
client.SyncClient("http://localhost:4000"), client.Client("http://localhost:4000")
print({"django", "channels", "psycopg"} & {name.partition(".")[0] for name in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
