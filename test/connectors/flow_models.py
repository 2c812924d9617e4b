"""Checks responses of a capture, one a line on standard input, against the models of estuary-cdk, with no field beside theirs.

Prints as JSON how many of each kind fit, and the errors of those that do not.
"""

import json
import sys
from typing import Any

from estuary_cdk import flow
from estuary_cdk.capture import response
from pydantic import BaseModel, ConfigDict

for module in (flow, response):
    models = [m for m in vars(module).values() if isinstance(m, type) and issubclass(m, BaseModel) and m is not BaseModel]
    for model in models:
        model.model_config.update(extra="forbid", strict=True)
    for model in models:
        model.model_rebuild(force=True)


class Resource(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    database: str
    collection: str


class State(BaseModel):
    """A patch: whatever the connector keeps."""

    model_config = ConfigDict(extra="allow")


class Response(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    spec: flow.ConnectorSpec | None = None
    discovered: response.Discovered[Resource] | None = None
    validated: response.Validated | None = None
    applied: response.Applied | None = None
    opened: response.Opened | None = None
    captured: response.Captured | None = None
    checkpoint: response.Checkpoint[State] | None = None


counts: dict[str, int] = {}
errors: list[str] = []
for number, line in enumerate(sys.stdin, 1):
    message: dict[str, Any] = json.loads(line)
    try:
        Response.model_validate(message)
    except ValueError as error:
        errors.append(f"message {number}: {line[:200].strip()}: {error}")
        continue
    (kind,) = message
    counts[kind] = counts.get(kind, 0) + 1
print(json.dumps({"counts": counts, "errors": errors}))
