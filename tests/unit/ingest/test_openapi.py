"""The documentation is true: its examples are accepted, its references lead somewhere."""

from __future__ import annotations

import json

import jsonschema

from services.ingest import openapi
from tests.unit.ingest.running import Bench


async def test_the_documented_examples_are_accepted(bench: Bench) -> None:
    document = (await bench.client.get("/openapi.json")).json()
    operation = document["paths"]["/v1/events"]["post"]
    sent = 0
    for kind, content in operation["requestBody"]["content"].items():
        for name, example in content["examples"].items():
            headers = {}
            if name == "binary mode":
                headers = {
                    p["name"].replace("-", "_"): p["example"] for p in operation["parameters"]
                }
            response = await bench.post(example["value"], kind, **headers)
            assert response.status_code == 202, (kind, name, response.text)
            jsonschema.validate(
                example["value"], {"components": document["components"], **content["schema"]}
            )
            sent += response.json()["accepted"]
    assert sent == len(openapi.EXAMPLES) * 2 + 2
    tick = document["paths"]["/v1/ticks"]["post"]["requestBody"]["content"]["application/json"]
    response = await bench.post(tick["example"], "application/json", "/v1/ticks")
    assert response.status_code == 202


def test_every_type_of_event_has_an_example_and_every_error_one_that_is_a_problem() -> None:
    schemas = openapi.components()["schemas"]
    assert set(openapi.EXAMPLES) == set(schemas["CustomerEvent"]["discriminator"]["mapping"])
    for status, (text, example, _) in openapi.ERRORS.items():
        assert text
        assert example["status"] == int(status)
        jsonschema.validate(example, schemas["ProblemDetails"])


async def test_the_document_refers_to_nothing_that_it_does_not_hold(bench: Bench) -> None:
    document = (await bench.client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    referred = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= set(document["components"]["schemas"])
    # What is documented is what the handlers answer: 202 and the statuses of these tests.
    responses = document["paths"]["/v1/events"]["post"]["responses"]
    assert set(responses) == {"202", *openapi.ERRORS}
