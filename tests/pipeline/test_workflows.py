"""The workflows' steps run through, and ask registries, GitHub and the cloud for what they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.acting import DIGEST, Acted, Scratch
from tests.pipeline.programs import ROOT

pytestmark = pytest.mark.timeout(1800)

IMAGE = "ghcr.io/example/footfall"

#: What the repository's variables say where a deployment is set up.
VARIABLES = {
    "DEPLOY_URL": "https://count.example.com",
    "DEPLOY_ROLE": "arn:aws:iam::123456789012:role/deploy",
    "DEPLOY_REGION": "eu-central-1",
    "DEPLOY_STACK": "footfall",
    "DEPLOY_REPOSITORY": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/footfall",
}

WITH_VARIABLES = [part for name, value in VARIABLES.items() for part in ("--var", f"{name}={value}")]


#: The job of a release that runs all of ci.yml, and what takes its place here: ci.yml's jobs have tests of their own.
CI = """\
    permissions:
      contents: read # to check the sources out
    uses: ./.github/workflows/ci.yml
"""
PASSED = """\
    runs-on: ubuntu-24.04
    steps:
      - run: true
"""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    """A copy as it is."""
    scratch = Scratch(tmp_path_factory.mktemp("pipeline"))
    scratch.commit()
    return scratch


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    """A copy in whose releases CI has been passed.

    Its deploy script notes what it is asked for and ends as `DEPLOY_STATUS` says: tests/cloud runs the real one.
    """
    scratch = Scratch(tmp_path_factory.mktemp("release"))
    scratch.change(".github/workflows/release.yml", CI, PASSED)
    deploy = scratch.tree / "deploy" / "aws" / "deploy"
    deploy.write_text('#!/usr/bin/env bash\necho "deploy $*" >>"$NOTES"\nexit "${DEPLOY_STATUS:-0}"\n')
    scratch.commit()
    return scratch


def of_ci(scratch: Scratch, job: str, *options: str, **environment: str) -> Acted:
    """Run one job of ci.yml."""
    return scratch.act("push", "--workflows", ".github/workflows/ci.yml", "--job", job, *options, environment=environment)


@pytest.mark.parametrize(("job", "name"), [("check", "Lint, types, docs"), ("deploy-lint", "Lint of what deploys")])
def test_the_checks_of_ci_pass(scratch: Scratch, job: str, name: str) -> None:
    """The job's steps end well."""
    acted = of_ci(scratch, job)
    assert acted.ended(name) == "succeeded", acted.printed


def test_the_tests_of_ci_run(scratch: Scratch) -> None:
    """For one Python and a few tests: that all of them pass is what `make test` shows."""
    acted = of_ci(scratch, "test", "--matrix", "python:3.13", ARGS="tests/unit/web/test_dial.py")
    assert acted.ended("Tests on Python 3.13-3") == "succeeded" or acted.ended("Tests on Python 3.13") == "succeeded", (
        acted.printed
    )
    assert " passed" in acted.printed


@pytest.mark.parametrize(("size", "ends"), [(49_999_999, "succeeded"), (50_000_000, "failed")])
def test_a_large_image_is_refused(scratch: Scratch, size: int, ends: str) -> None:
    """From 50 MB on the job fails, before the image is scanned."""
    acted = of_ci(scratch, "image", IMAGE_BYTES=str(size))
    assert acted.ended("Image") == ends, acted.printed
    assert ("scan footfall:ci" in acted.notes) == (ends == "succeeded")


@pytest.fixture(scope="module")
def released(passed: Scratch) -> Acted:
    """What a tag sets off."""
    payload = {"ref": f"refs/tags/v{passed.version}", "repository": {"private": False}}
    return passed.act("push", "--workflows", ".github/workflows/release.yml", *WITH_VARIABLES, payload=payload)


class TestRelease:
    """Of a tag, on a repository that has a deployment set up."""

    def test_every_job_runs(self, released: Acted) -> None:
        """To its end."""
        for job in ("The tag is a release", "Package", "Publish the package", "Announce"):
            assert released.ended(job) == "succeeded", released.printed
        assert released.status == 0, released.printed

    def test_the_package_is_published_as_it_was_built(self, released: Acted, passed: Scratch) -> None:
        """Wheel and sources, attested first."""
        files = [f"footfall-{passed.version}-py3-none-any.whl", f"footfall-{passed.version}.tar.gz"]
        assert f"publish {' '.join(files)}" in released.notes
        assert any(note.startswith("attest dist/*") for note in released.notes)

    def test_the_image_has_both_platforms_and_an_attestation(self, released: Acted, passed: Scratch) -> None:
        """Both are pushed, put together, and the whole is attested: where it was made, and of what."""
        tag = f"{IMAGE}:{passed.version}"
        pushes = sorted(note for note in released.notes if note.startswith("docker push "))
        assert pushes == [f"docker push {tag}-amd64", f"docker push {tag}-arm64"]
        assert f"docker buildx imagetools create --tag {tag} {tag}-amd64 {tag}-arm64" in released.notes
        attested = [note.split() for note in released.notes if f" {IMAGE} " in note and note.startswith("attest ")]
        assert attested == [["attest", IMAGE, DIGEST], ["attest", IMAGE, DIGEST, "sbom-amd64.cdx.json"]]

    def test_the_release_has_notes_and_files(self, released: Acted, passed: Scratch) -> None:
        """It belongs to the tag, which exists."""
        (note,) = [note for note in released.notes if note.startswith("gh release create")]
        assert f"create v{passed.version} --verify-tag" in note
        for file in ("notes.md", ".whl", ".tar.gz", "sbom-amd64.cdx.json", "sbom-arm64.cdx.json"):
            assert file in note

    def test_it_is_deployed(self, released: Acted) -> None:
        """What was attested is verified, and that very digest goes to the cloud, under the role."""
        assert f"gh attestation verify oci://{IMAGE}@{DIGEST}" in "\n".join(released.notes)
        assert f"role {VARIABLES['DEPLOY_ROLE']} {VARIABLES['DEPLOY_REGION']}" in released.notes
        image = f"{VARIABLES['DEPLOY_REPOSITORY']}@{DIGEST}"
        wanted = f"deploy --stack footfall --image {image} --source {IMAGE}@{DIGEST} --url {VARIABLES['DEPLOY_URL']}"
        assert wanted in released.notes


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_a_failed_deployment_is_told(passed: Scratch, status: int) -> None:
    """Whatever the script ends with but 0 opens an issue that names the image; a deployment that worked opens none."""
    acted = passed.act(
        "workflow_dispatch",
        "--workflows",
        ".github/workflows/deploy.yml",
        *WITH_VARIABLES,
        payload={"inputs": {"image": f"{IMAGE}@{DIGEST}"}},
        environment={"DEPLOY_STATUS": str(status)},
    )
    assert (acted.status == 0) == (status == 0), acted.printed
    told = [note for note in acted.notes if note.startswith("gh issue create")]
    assert len(told) == (status != 0), acted.printed
    assert all(f"{IMAGE}@{DIGEST}" in note for note in told)


def test_every_workflow_runs_somewhere_here() -> None:
    """None was added that no test knows."""
    assert {path.name for path in (ROOT / ".github" / "workflows").iterdir()} == {"ci.yml", "deploy.yml", "release.yml"}
    assert Path(ROOT / ".github" / "dependabot.yml").exists()
