"""The deploy script against ministack's stacks and registry and a real Footfall: it deploys, goes back, tells, and refuses."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import emulators
from tests.cloud.emulators import Cloud
from tests.cloud.stacks import STACKS, create, create_all, created, described, given, outputs
from tests.cloud.templates import NAMES, ROOT, carried, template

ACCOUNT = "000000000000"
REPOSITORY = f"{ACCOUNT}.dkr.ecr.{emulators.REGION}.amazonaws.com/footfall"
BEFORE = given("service")["Image"]

#: The script calls the aws client a dozen times, which takes a second each, and several where the machine is busy.
RUN_SECONDS = 240.0
pytestmark = pytest.mark.timeout(900)

SMOKE = {"FOOTFALL_SITES": "example.com,smoke.invalid"}


@pytest.fixture
def stack(cloud: Cloud) -> Cloud:
    """The four stacks, on an emulator of one's own."""
    create_all(cloud)
    return cloud


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Footfall that counts for the deploy script."""
    with emulators.footfall(tmp_path_factory.mktemp("footfall"), **SMOKE) as url:
        yield url


def pushed(cloud: Cloud, note: str) -> str:
    """An image in the repository, by its digest. `note` makes it another one."""
    manifest = json.dumps(
        {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [], "note": note}
    )
    made = cloud.client("ecr").put_image(repositoryName="footfall", imageManifest=manifest, imageTag=note)["image"]
    return f"{REPOSITORY}@{made['imageId']['imageDigest']}"


def deploy(cloud: Cloud, image: str, url: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the script; it looks often, and gives up soon."""
    command = ["--stack", STACKS["service"], "--image", image, "--url", url, "--poll", "0.1", "--smoke-timeout", "1", *more]
    return subprocess.run(
        [ROOT / "deploy" / "aws" / "deploy", *command],
        env=cloud.environment,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )


def running_image(cloud: Cloud) -> str:
    """The image of the task definition that the service runs."""
    ecs = cloud.client("ecs")
    (service,) = ecs.describe_services(cluster="footfall", services=["footfall"])["services"]
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    return str(definition["containerDefinitions"][0]["image"])


def stack_image(cloud: Cloud) -> str:
    """The image that the stack says it has."""
    values = {each["ParameterKey"]: each["ParameterValue"] for each in described(cloud, "service")["Parameters"]}
    return str(values["Image"])


class Mailbox:
    """Hears what the alarm topic tells."""

    def __init__(self, cloud: Cloud) -> None:
        self._queues = cloud.client("sqs")
        self._queue = self._queues.create_queue(QueueName="mailbox")["QueueUrl"]
        arn = self._queues.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = created(cloud, "foundation")["Alarms"]
        cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def mail(self) -> list[str]:
        """What came in, as text."""
        answer = self._queues.receive_message(QueueUrl=self._queue, WaitTimeSeconds=2, MaxNumberOfMessages=10)
        return [str(json.loads(each["Body"])["Message"]) for each in answer.get("Messages", [])]


def test_a_new_image_is_deployed(stack: Cloud, counting: str) -> None:
    """The stack and the service run it, the parameters beside it stay, and nobody is bothered."""
    mailbox = Mailbox(stack)
    before = described(stack, "service")["Parameters"]
    image = pushed(stack, "new")
    done = deploy(stack, image, counting)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Deployed {image}" in done.stdout
    assert stack_image(stack) == running_image(stack) == image
    others = [
        [each for each in some if each["ParameterKey"] != "Image"] for some in (before, described(stack, "service")["Parameters"])
    ]
    assert sorted(map(str, others[0])) == sorted(map(str, others[1]))
    again = deploy(stack, image, counting)  # changes nothing, and still proves that it counts
    assert (again.returncode, again.stderr) == (0, "")
    assert "already" in again.stdout
    assert "counts" in again.stdout
    assert mailbox.mail() == []


def test_an_image_that_does_not_count_is_taken_back(stack: Cloud, tmp_path: Path) -> None:
    """Where the smoke test fails, the image before is put back and the alarm topic told; going back is proved as well."""
    mailbox = Mailbox(stack)
    with emulators.footfall(tmp_path, FOOTFALL_SITES="example.com") as url:  # ready, but drops the script's view
        done = deploy(stack, pushed(stack, "bad"), url)
    assert "unknown-site" in done.stdout
    assert stack_image(stack) == running_image(stack) == BEFORE
    assert done.returncode == 3  # the emulator runs no tasks, so nothing counts after going back either
    (mail,) = mailbox.mail()
    assert "Somebody has to look" in mail
    assert BEFORE in mail


def test_going_back_can_succeed(stack: Cloud, tmp_path: Path, counting: str) -> None:
    """Where the image before counts again, the script says that it went back."""
    mailbox = Mailbox(stack)
    folder = tmp_path / "footfall"
    folder.mkdir()
    script = tmp_path / "front.py"
    script.write_text(FRONT)
    port = emulators.free_port()
    with emulators.running(
        [str(emulators.BIN / "python"), str(script), str(port), counting, stack.endpoint],
        stack.environment,
        f"http://127.0.0.1:{port}/livez",
        folder,
    ):
        done = deploy(stack, pushed(stack, "bad"), f"http://127.0.0.1:{port}")
    assert done.returncode == 1, done.stdout
    assert stack_image(stack) == BEFORE
    (mail,) = mailbox.mail()
    assert "did not count: /readyz: status 503" in mail
    assert f"The service runs {BEFORE} again." in mail


#: Stands for a balancer: what it passes on depends on the image that the service has. ministack starts no tasks behind its own.
FRONT = """
import sys, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import boto3

port, behind, endpoint = int(sys.argv[1]), sys.argv[2], sys.argv[3]
ecs = boto3.client("ecs", endpoint_url=endpoint)

def is_bad():
    (service,) = ecs.describe_services(cluster="footfall", services=["footfall"])["services"]
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    return "@sha256:000" not in definition["containerDefinitions"][0]["image"]

class Front(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/livez" and is_bad():
            self.send_error(503)
            return
        with urllib.request.urlopen(urllib.request.Request(behind + self.path, headers={"User-Agent": "x"})) as reply:
            body = reply.read()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                if name.lower().startswith("x-footfall"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

ThreadingHTTPServer(("127.0.0.1", port), Front).serve_forever()
"""


@pytest.fixture
def stubborn(cloud: Cloud) -> Cloud:
    """The four stacks, the service's with something in it that fails at another image. (ministack's tasks never fail.)"""
    for name in NAMES[:-1]:
        assert create(cloud, name, carried(template(name)), given(name)) == "CREATE_COMPLETE"
    body = carried(template("service"))
    kind = {"Fn::If": ["IsBefore", "String", "NoTypeAtAll"]}
    body["Conditions"]["IsBefore"] = {"Fn::Equals": [{"Ref": "Image"}, BEFORE]}
    body["Resources"]["Trap"] = {
        "Type": "AWS::SSM::Parameter",
        "DependsOn": "Service",
        "Properties": {"Type": kind, "Value": "x"},
    }
    assert create(cloud, "service", body, given("service")) == "CREATE_COMPLETE"
    return cloud


def test_a_failing_update_goes_back(stubborn: Cloud, counting: str) -> None:
    """Where CloudFormation can't carry the update out it goes back by itself; the script says why, and tells."""
    mailbox = Mailbox(stubborn)
    done = deploy(stubborn, pushed(stubborn, "new"), counting)
    assert done.returncode == 1, done.stdout
    assert described(stubborn, "service")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stack_image(stubborn) == BEFORE
    (mail,) = mailbox.mail()
    assert "UPDATE_ROLLBACK_COMPLETE; Trap: " in mail
    assert f"The service runs {BEFORE} again." in mail
    assert deploy(stubborn, pushed(stubborn, "next"), counting).returncode == 1  # a stack that went back may be tried again


def test_nothing_is_deployed_while_views_wait(stack: Cloud, counting: str) -> None:
    """While the spool alarm is on the script refuses, for the views would be lost with their tasks; --force overrules that."""
    alarm = outputs(stack, "service")["SpoolAlarm"]
    stack.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")
    image = pushed(stack, "new")
    refused = deploy(stack, image, counting)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert stack_image(stack) == BEFORE
    assert deploy(stack, image, counting, "--force").returncode == 0


@pytest.mark.parametrize(
    ("image", "url", "mend"),
    [
        (f"{REPOSITORY}:latest", "https://count.example.com", "is not REPOSITORY@sha256:"),
        (BEFORE, "http://count.example.com", "begins with https://"),
        (f"{REPOSITORY}@sha256:{'f' * 64}", "https://count.example.com", "is not in the repository"),
    ],
)
def test_what_can_not_be_is_refused(deployed: Cloud, image: str, url: str, mend: str) -> None:
    """A tag, an address without TLS and an image that is not there are refused in one line, before anything changes."""
    refused = deploy(deployed, image, url)
    assert refused.returncode == 2
    assert mend in refused.stderr
    assert "Traceback" not in refused.stderr
    assert described(deployed, "service")["StackStatus"] == "CREATE_COMPLETE"


def test_another_stack_is_refused(deployed: Cloud) -> None:
    """A stack that is none of service.yaml's, or is not there at all, is named."""
    for name, mend in (("footfall-store", "lacks the outputs"), ("nothing", "does not exist")):
        refused = deploy(deployed, BEFORE, "https://count.example.com", "--stack", name)
        assert refused.returncode == 2
        assert mend in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1


def image_folder(folder: Path) -> tuple[Path, str]:
    """A tiny image of two platforms as a folder in OCI's layout (OCI Image Format Specification 1.1): where, and its digest."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def stored(content: bytes, kind: str, **more: Any) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content), **more}

    def manifest(architecture: str) -> dict[str, Any]:
        layer = stored(bytes(1024), "layer.v1.tar")
        config = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
        body = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [layer]}
        body["config"] = stored(json.dumps(config).encode(), "config.v1+json")
        platform = {"architecture": architecture, "os": "linux"}
        return stored(json.dumps(body).encode(), "manifest.v1+json", platform=platform)

    body = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"}
    index = stored(json.dumps({**body, "manifests": [manifest("amd64"), manifest("arm64")]}).encode(), "index.v1+json")
    (folder / "index.json").write_text(json.dumps({**body, "manifests": [index]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder, index["digest"]


def plain_registry(cloud: Cloud, home: Path) -> str:
    """Ministack's registry, on loopback, to which skopeo speaks without TLS. (By ECR's own name it could not be reached.)"""
    registry = cloud.endpoint.removeprefix("http://")
    folder = home / ".config" / "containers"
    folder.mkdir(parents=True)
    (folder / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    cloud.environment["HOME"] = str(home)
    return registry


def test_an_image_is_copied_first(stack: Cloud, counting: str, tmp_path: Path) -> None:
    """With --source, every platform of an image is copied under a tag of its own, with the digest that was named."""
    folder, digest = image_folder(tmp_path / "image")
    registry = plain_registry(stack, tmp_path)
    image = f"{registry}/footfall@{digest}"
    done = deploy(stack, image, counting, "--source", f"oci:{folder}")
    assert (done.returncode, done.stderr) == (0, "")
    assert running_image(stack) == image
    found = stack.client("ecr").describe_images(repositoryName="footfall", imageIds=[{"imageDigest": digest}])["imageDetails"]
    assert [each["imageTags"] for each in found] == [[digest.replace(":", "-")[:23]]]


def test_another_image_than_named_is_refused(stack: Cloud, counting: str, tmp_path: Path) -> None:
    """Where the source has another digest, nothing is deployed."""
    folder, _ = image_folder(tmp_path / "image")
    registry = plain_registry(stack, tmp_path)
    done = deploy(stack, f"{registry}/footfall@sha256:{'1' * 64}", counting, "--source", f"oci:{folder}")
    assert done.returncode == 2
    assert "that --image names" in done.stderr
    assert stack_image(stack) == BEFORE


EVENTS = [
    (
        {
            "Source": "aws.ecs",
            "DetailType": "ECS Deployment State Change",
            "Resources": ["arn:aws:ecs:eu-central-1:000000000000:service/footfall/footfall"],
            "Detail": {"eventName": "SERVICE_DEPLOYMENT_FAILED", "deploymentId": "ecs-svc/1", "reason": "tasks failed to start."},
        },
        "The deployment ecs-svc/1 of footfall failed and is rolled back: tasks failed to start.",
    ),
    (
        {
            "Source": "aws.ecs",
            "DetailType": "ECS Task State Change",
            "Resources": [],
            "Detail": {
                "clusterArn": "arn:aws:ecs:eu-central-1:000000000000:cluster/footfall",
                "lastStatus": "STOPPED",
                "stopCode": "EssentialContainerExited",
                "taskArn": "task/7",
                "stoppedReason": "Essential container in task exited",
            },
        },
        "The task task/7 of footfall ended: Essential container in task exited",
    ),
]


@pytest.mark.parametrize(("event", "message"), EVENTS, ids=["deployment", "task"])
def test_what_ecs_tells_is_passed_on(stack: Cloud, event: dict[str, Any], message: str) -> None:
    """An event as ECS sends it reaches the alarm topic as one sentence; the same of another service or state does not.

    Nobody may send events in the name of aws.ecs. So they are sent in another name, to the same rules for that name.
    """
    mailbox = Mailbox(stack)
    bus = stack.client("events")
    for rule in bus.list_rules(NamePrefix="footfall-")["Rules"]:
        pattern = rule["EventPattern"].replace("aws.ecs", "test.ecs")
        bus.put_rule(Name=f"test-{rule['Name']}", EventPattern=pattern)
        bus.put_targets(Rule=f"test-{rule['Name']}", Targets=bus.list_targets_by_rule(Rule=rule["Name"])["Targets"])
    text = json.dumps(event).replace("aws.ecs", "test.ecs")
    fine = text.replace("SERVICE_DEPLOYMENT_FAILED", "SERVICE_DEPLOYMENT_COMPLETED").replace("STOPPED", "RUNNING")
    alien = text.replace("/footfall", "/other")
    for each in map(json.loads, (fine, alien, text)):
        answer = bus.put_events(Entries=[{**each, "Detail": json.dumps(each["Detail"])}])
        assert not answer["FailedEntryCount"]
    assert [mail.strip('"') for mail in mailbox.mail()] == [message]
