"""The commands of docs/deploy-aws.md work as they are written, as far as an emulator carries them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.cloud import emulators
from tests.cloud.emulators import Cloud
from tests.cloud.stacks import described
from tests.cloud.templates import NAMES, ROOT, carried, resources, template
from tests.cloud.test_deploy import pushed, running_image

PAGE = (ROOT / "docs" / "deploy-aws.md").read_text("utf-8")
BLOCKS = re.findall(r"(?ms)^```bash\n(.*?)^```$", PAGE)


def folder_of_a_clone(where: Path) -> Path:
    """A clone of the repository, whose templates are such as ministack carries."""
    (where / "deploy" / "aws").mkdir(parents=True)
    for name in NAMES:
        (where / "deploy" / "aws" / f"{name}.yaml").write_text(json.dumps(carried(template(name))))  # YAML holds JSON
    for kept in ("parameters", "deploy"):
        (where / "deploy" / "aws" / kept).symlink_to(ROOT / "deploy" / "aws" / kept)
    return where


def run(script: str, cloud: Cloud, folder: Path) -> str:
    """What a block prints. Fails where a command does."""
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=folder, env=cloud.environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", ["small"])
def test_the_page_leads_to_a_service_that_counts(cloud: Cloud, tmp_path: Path, size: str) -> None:
    """Each step in its order makes its stack, up to the proof that views are counted. (Step 4 pushes to ministack by a call.)"""
    folder = folder_of_a_clone(tmp_path / "clone")
    zone = cloud.client("route53").create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
    cloud.environment["AWS_REGION"] = emulators.REGION
    foundation, pipeline, store, image, service, name, proof = (block.replace("/small-", f"/{size}-") for block in BLOCKS)
    for block in (foundation, pipeline, store):
        run(block.replace("OWNER", "example"), cloud, folder)
    repository = re.match(r"(?s)(REPOSITORY=.*?\)\n)", image)
    assert repository
    cloud.environment["REPOSITORY"] = run(f"{repository[1]}echo $REPOSITORY", cloud, folder).strip()
    pushed_image = pushed(cloud, "0.1.0")
    digest = re.search(r"(?s)(DIGEST=.*)", image)
    assert digest
    cloud.environment["DIGEST"] = run(f"{digest[1]}echo $DIGEST", cloud, folder).strip()
    assert pushed_image == "{REPOSITORY}@{DIGEST}".format(**cloud.environment)
    run(service.replace("Z0123456789ABC", zone.rpartition("/")[2]), cloud, folder)
    assert ".elb.amazonaws.com" in run(name, cloud, folder)
    assert running_image(cloud) == pushed_image
    counts_in = tmp_path / "footfall"
    counts_in.mkdir()
    with emulators.footfall(counts_in, FOOTFALL_SITES="example.com,smoke.invalid") as url:
        assert "counts" in run(proof.replace("https://count.example.com", url), cloud, folder)
    assert described(cloud, "service")["StackStatus"] == "CREATE_COMPLETE"


def test_every_alarm_is_in_the_page() -> None:
    """The page says what to do about each alarm that the templates make."""
    rows = [line.split("|")[1] for line in PAGE.partition("## Alarms")[2].splitlines() if line.startswith("| `footfall-")]
    listed = {word for row in rows for word in re.findall(r"`-?(?:footfall-)?([\w-]+)`", row)}
    made = {
        alarm["AlarmName"]["Fn::Sub"].replace("${AWS::StackName}-", prefix)
        for name, prefix in (("store", "store-"), ("service", ""))
        for alarm in resources(template(name), "AWS::CloudWatch::Alarm").values()
    }
    assert made == listed
