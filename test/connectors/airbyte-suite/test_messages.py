"""Airbyte's checks of catalogs and records, on what the program has written: messages-NAME.jsonl and catalog-NAME.json."""

import json
from pathlib import Path

import pytest
from airbyte_cdk.models import AirbyteMessageSerializer, ConfiguredAirbyteCatalogSerializer, Type
from airbyte_cdk.test.standard_tests._catalog_checks import find_catalog_problems, format_catalog_problems
from airbyte_cdk.test.standard_tests._read_assertions import assert_read_records
from airbyte_protocol.models import AirbyteMessage  # of airbyte_protocol_models_pdv2

FOLDER = Path(__file__).parent
CAPTURED = sorted(path.stem.removeprefix("messages-") for path in FOLDER.glob("messages-*.jsonl"))


def lines_of(name):
    return (FOLDER / f"messages-{name}.jsonl").read_text().splitlines()


def test_there_are_messages():
    assert len(CAPTURED) >= 4


@pytest.mark.parametrize("name", CAPTURED)
def test_every_line_is_a_message(name):
    for line in lines_of(name):
        message = AirbyteMessage.model_validate_json(line)
        body = message.type.value.lower() if message.type.value != "CONNECTION_STATUS" else "connectionStatus"
        assert getattr(message, body) is not None, line
        assert unknown_fields(message) == [], line


def unknown_fields(model, path=""):
    """The fields that the protocol does not have: the models take any."""
    if not hasattr(model, "model_extra"):
        return []
    found = [f"{path}{name}" for name in (model.model_extra or {})]
    if type(model).__name__ == "AirbyteStateBlob":
        return []
    for name in type(model).model_fields:
        value = getattr(model, name)
        for each in value if isinstance(value, list) else [value]:
            found += unknown_fields(each, f"{path}{name}.")
    return found


@pytest.mark.parametrize("name", [name for name in CAPTURED if name.startswith("discover")])
def test_the_catalog_has_no_problems(name):
    messages = [AirbyteMessageSerializer.load(json.loads(line)) for line in lines_of(name)]
    (catalog,) = [message.catalog for message in messages if message.type == Type.CATALOG]
    problems = find_catalog_problems(catalog)
    assert problems == {}, format_catalog_problems(problems)


@pytest.mark.parametrize("name", [name for name in CAPTURED if name.startswith("read")])
def test_the_records_fit_the_catalog(name):
    catalog = ConfiguredAirbyteCatalogSerializer.load(json.loads((FOLDER / f"catalog-{name}.json").read_text()))
    messages = [AirbyteMessageSerializer.load(json.loads(line)) for line in lines_of(name)]
    assert_read_records(
        records=[message for message in messages if message.type == Type.RECORD],
        configured_catalog=catalog,
        require_records_per_stream=True,
        validate_schema=True,
    )
