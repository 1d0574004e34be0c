"""Makes and reads stacks on an emulator."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from tests.cloud.emulators import PATIENCE, Cloud
from tests.cloud.templates import NAMES, Template, carried, parameters, template

#: The stack that each template makes, as docs/deploy-aws.md names them.
STACKS = dict(zip(NAMES, ("footfall-foundation", "footfall-pipeline", "footfall-store", "footfall"), strict=True))

#: What only the one who deploys can know.
OWN = {
    "foundation": {"AlarmEmail": "alarms@example.com"},
    "pipeline": {"SourceRepository": "example/footfall"},
    "store": {},
    "service": {
        "Image": f"000000000000.dkr.ecr.eu-central-1.amazonaws.com/footfall@sha256:{'0' * 64}",
        "Sites": "example.com",
        "DomainName": "count.example.com",
        "CertificateArn": "arn:aws:acm:eu-central-1:000000000000:certificate/01234567-89ab-cdef-0123-456789abcdef",
    },
}


def given(name: str, size: str = "small", **more: str) -> dict[str, str]:
    """The parameters of a stack: those suggested for a size, those that only its owner knows, and `more`."""
    suggested = {} if name == "pipeline" else parameters(size, name)
    return {**suggested, **OWN[name], **more}


def create(cloud: Cloud, name: str, body: Template, values: Mapping[str, str]) -> str:
    """Create the stack of a template and wait for what becomes of it: its status, with the reason where it failed."""
    client = cloud.client("cloudformation")
    client.create_stack(
        StackName=STACKS[name],
        TemplateBody=json.dumps(body),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    deadline = time.monotonic() + PATIENCE
    while (status := described(cloud, name)["StackStatus"]).endswith("IN_PROGRESS"):
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    failures = [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
        for event in client.describe_stack_events(StackName=STACKS[name])["StackEvents"]
        if event["ResourceStatus"].endswith("FAILED")
    ]
    return "; ".join([str(status), *failures])


def create_all(cloud: Cloud, size: str = "small") -> None:
    """Create the four stacks as far as ministack carries them."""
    for name in NAMES:
        assert create(cloud, name, carried(template(name)), given(name, size)) == "CREATE_COMPLETE"


def described(cloud: Cloud, name: str) -> dict[str, Any]:
    """What CloudFormation says of a stack."""
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=STACKS[name])["Stacks"]
    return dict(stack)


def outputs(cloud: Cloud, name: str) -> dict[str, str]:
    """The outputs of a stack."""
    return {each["OutputKey"]: each["OutputValue"] for each in described(cloud, name)["Outputs"]}


def created(cloud: Cloud, name: str) -> dict[str, str]:
    """The names of what stands in a stack, by the names in its template."""
    found = cloud.client("cloudformation").describe_stack_resources(StackName=STACKS[name])["StackResources"]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}
