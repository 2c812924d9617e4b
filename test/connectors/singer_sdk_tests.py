"""The standard tests of the Singer SDK for taps, on a program that is no SDK tap.

TAP_PROGRAM and TAP_CONFIG name the program and its config file. Run by pytest, from singer-sdk.platform.test.ts.
"""

from __future__ import annotations

import json
import os
import subprocess

from singer_sdk import Stream, Tap
from singer_sdk.testing import SuiteConfig, TapTestRunner, factory, get_tap_test_class

PROGRAM = os.environ["TAP_PROGRAM"]
CONFIG = os.environ["TAP_CONFIG"]


def run(*args: str) -> str:
    return subprocess.run([PROGRAM, "--config", CONFIG, *args], check=True, capture_output=True, text=True).stdout


class ProgramStream(Stream):
    """A stream with the schema and the key that the program sends; it reads nothing itself."""

    def get_records(self, context):
        raise NotImplementedError


class ProgramTap(Tap):
    """The tap that the SDK's tests ask for its streams."""

    name = "tap-mongotap"
    config_jsonschema = json.loads(subprocess.run([PROGRAM, "--about"], check=True, capture_output=True).stdout)[
        "settings"
    ]

    def discover_streams(self):
        found = []
        for message in MESSAGES:
            if message["type"] != "SCHEMA":
                continue
            stream = ProgramStream(self, name=message["stream"], schema=message["schema"])
            stream.primary_keys = message["key_properties"]
            found.append(stream)
        return found

    def print_version(self, print_fn=print):
        print_fn(subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, text=True).stdout)

    def print_about(self, output_format=None):
        args = [] if output_format is None else [f"--format={output_format}"]
        print(subprocess.run([PROGRAM, "--about", *args], check=True, capture_output=True, text=True).stdout)

    def run_discovery(self):
        return run("--discover")

    def run_connection_test(self):
        return len(json.loads(run("--discover"))["streams"]) > 0


class ProgramRunner(TapTestRunner):
    """Takes the messages of the program for those of the tap."""

    def run_discovery(self):
        return run("--discover")

    def sync_all(self, **_kwargs):
        self._parse_records(MESSAGES)


MESSAGES = [json.loads(line) for line in run().splitlines()]
factory.TapTestRunner = ProgramRunner

# The tests of attributes judge neither a type of several types nor null.
TestProgram = get_tap_test_class(
    ProgramTap,
    config=json.load(open(CONFIG)),
    suite_config=SuiteConfig(),
    include_stream_attribute_tests=False,
)


def test_the_catalog_is_one_of_the_sdk():
    """The SDK reads the catalog, and finds in it what the SCHEMA messages say."""
    from singer_sdk.singerlib import Catalog

    catalog = Catalog.from_dict(json.loads(run("--discover")))
    schemas = {message["stream"]: message for message in MESSAGES if message["type"] == "SCHEMA"}
    assert set(catalog) == set(schemas)
    for stream_id, entry in catalog.items():
        properties = set(entry.schema.to_dict()["properties"])
        assert properties == set(schemas[stream_id]["schema"]["properties"]) - {"_sdc_deleted_at"}
        mask = entry.metadata.resolve_selection()
        assert all(mask["properties", name] for name in properties)
