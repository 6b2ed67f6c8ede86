"""XML: the one unnamed argument, results, and handlers of text/xml."""

from __future__ import annotations

import pytest

XML = "text/xml; charset=utf-8"
JSON = "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("call", "body", "result"),
    [
        ("echo_xml", "<a>é</a>", '"<a>é</a>"'),
        ("echo_xml", "text<a/>", '"text<a/>"'),
        ("echo_xml", "", '""'),
        ("xml_name", '<?xml version="1.0" encoding="UTF-8"?><mug/>', '"mug"'),
    ],
)
def test_a_body_of_xml_is_the_one_argument(xml_api, call, body, result):
    answer = xml_api(f"POST /rpc/{call}", body, content_type="text/xml")
    assert (answer.status, answer.text, answer.headers["content-type"]) == (200, result, JSON)


def test_xml_that_is_none_is_postgresqls_error(xml_api):
    answer = xml_api("POST /rpc/echo_xml", "<a>", content_type="text/xml")
    assert (answer.status, answer.json["code"], answer.json["message"]) == (
        400,
        "2200N",
        "invalid XML content",
    )


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_other_bodies_are_no_xml(xml_api, content_type):
    answer = xml_api("POST /rpc/echo_xml", "{}", content_type=content_type)
    assert (answer.status, answer.json["code"]) == (404, "PGRST202")


def test_a_function_without_an_xml_argument(xml_api):
    answer = xml_api("POST /rpc/hello", "<a/>", content_type="text/xml")
    searched = "Searched for the function api.hello with a single unnamed xml parameter"
    assert answer.json == {
        "code": "PGRST202",
        "details": f"{searched}, but no matches were found in the schema cache.",
        "hint": None,
        "message": "Could not find the function api.hello in the schema cache",
    }


@pytest.mark.parametrize(
    ("target", "accept", "content_type", "body"),
    [
        ("/rpc/page", "text/xml", XML, "<page><a/></page>"),
        ("/rpc/page", "image/png, text/xml;q=0.1", XML, "<page><a/></page>"),
        ("/rpc/page", "*/*", JSON, '"<page><a/></page>"'),
        ("/rpc/plain_xml", "*/*", JSON, '"<a/>"'),
        ("/entries?order=line", "text/xml", XML, "<line>a</line><line>b</line><line>c</line>"),
        ("/entries?line=eq.none", "text/xml", XML, ""),
    ],
)
def test_results_as_xml(xml_api, target, accept, content_type, body):
    answer = xml_api("GET " + target, accept=accept)
    assert (answer.status, answer.headers["content-type"], answer.text) == (200, content_type, body)


@pytest.mark.parametrize("target", ["/rpc/plain_xml", "/entries?select=line", "/parts"])
def test_without_a_handler_there_is_no_xml(xml_api, target):
    assert xml_api("GET " + target, accept="text/xml").json["code"] == "PGRST107"
