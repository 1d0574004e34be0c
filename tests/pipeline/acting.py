"""Runs the workflows with act on this machine: their `run:` steps as they are, stand-ins for what lies elsewhere.

A stand-in takes the place of an action that is fetched from GitHub, and of the programs that speak to somebody else: a registry,
GitHub, the cloud. It notes what it was asked for, so that a test can see that the workflow asks for the right thing. act needs no
Docker for that: jobs run on the host, each in a fresh copy of the repository. Only environments with nothing of Footfall in them
are not made anew for each.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.docs.tracked import tracked_files
from tests.pipeline.programs import ROOT, program

#: The version in the scratch copy's tag.
VERSION_FILE = "src/footfall/version.py"

DIGEST = "sha256:" + "0123456789abcdef" * 4

#: What takes the place of an action: the steps, in bash. `$NOTES` is where notes are taken, `$ARTIFACTS` where artifacts
#: lie, `$ROOT` the repository that the copies are made of; names in lower case are inputs.
ACTIONS: Mapping[str, str] = {
    # The environments are links, in folders of the copy's own: a task that makes one anew clears the folder, not what it links.
    "actions/setup-python": (
        "python3 --version\n"
        "for PART in cloud deploy scan; do\n"
        '  if [[ -e "$ROOT/.venv-$PART/.installed" ]]; then\n'
        '    mkdir -p ".venv-$PART"; ln -sf "$ROOT/.venv-$PART"/* ".venv-$PART/"; touch ".venv-$PART/.installed"\n'
        "  fi\n"
        "done"
    ),
    "actions/upload-artifact": 'mkdir -p "$ARTIFACTS/$name" && cp -- $path "$ARTIFACTS/$name/"',
    "actions/download-artifact": (
        'mkdir -p "${path:-.}"; shopt -s nullglob\n'
        'LIST=${name:-${pattern//[\\{\\}]/}}; IFS=, read -ra NAMES <<<"$LIST"\n'
        'for NAME in "${NAMES[@]}"; do for FOLDER in "$ARTIFACTS"/$NAME; do cp "$FOLDER"/* "${path:-.}/"; done; done'
    ),
    "actions/attest": 'ls -- $subject_path; echo "attest $subject_path $subject_name $subject_digest $sbom_path" >>"$NOTES"',
    "anchore/scan-action": 'echo "scan $image" >>"$NOTES"',
    "aws-actions/configure-aws-credentials": 'echo "role $role_to_assume $aws_region" >>"$NOTES"',
    "pypa/gh-action-pypi-publish": 'echo "publish $(cd dist && echo *)" >>"$NOTES"',
}

#: What takes the place of a program.
PROGRAMS: Mapping[str, str] = {
    "sudo": 'while [[ $1 == --* ]]; do shift; done; exec "$@"',
    "gh": 'echo "gh $*" >>"$NOTES"',
    "docker": f"""
        case "$1 $2" in
            "login "*) cat >/dev/null ;;
            "create "*) echo container ;;
            "cp "*) echo '{{"bomFormat": "CycloneDX"}}' >"${{@: -1}}" ;;
            "export "*) head -c "${{IMAGE_BYTES:-1000}}" /dev/zero ;;
            "buildx imagetools") [[ $3 != inspect ]] || echo {DIGEST} ;;
        esac
        echo "docker $*" >>"$NOTES" """,
}


class Acted:
    """How a run ended: its exit status, what it printed, and what the stand-ins noted."""

    def __init__(self, status: int, printed: str, notes: list[str]) -> None:
        self.status = status
        self.printed = printed
        self.notes = notes

    def ended(self, job: str) -> str | None:
        """How a job ended, "succeeded" or "failed"; None where it did not run. `job` is the name that people see."""
        found = re.findall(rf"(?m)^\[[^]\n]*\b{re.escape(job)} *\].*Job (succeeded|failed)", self.printed)
        return found[-1] if found else None


class Scratch:
    """A copy of the repository in `folder`, at a commit of main that has a tag, with stand-ins beside it."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        self._folder = folder
        self._artifacts = folder / "artifacts"
        self._notes = folder / "notes"
        for path in tracked_files():
            copy = self.tree / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
        match = re.search(r'__version__ = "(.*)"', (self.tree / VERSION_FILE).read_text())
        assert match
        self.version = match[1]
        self._programs()
        self._actions()

    def commit(self) -> None:
        """Make what lies in the tree the newest commit of main, with the version's tag."""
        changelog = self.tree / "CHANGELOG.md"
        if f"## [{self.version}]" not in (text := changelog.read_text()):
            heading = f"## [Unreleased]\n\n## [{self.version}] - 2026-01-02\n"
            changelog.write_text(text.replace("## [Unreleased]\n", heading, 1))
        who = ["-c", "user.name=Tests", "-c", "user.email=tests@example.com"]
        for command in (
            ["init", "--quiet", "--initial-branch=main"],
            ["remote", "add", "origin", "https://github.com/example/footfall.git"],
            ["add", "--all"],
            [*who, "commit", "--quiet", "--message=All"],
            ["update-ref", "refs/remotes/origin/main", "HEAD"],
            ["tag", f"v{self.version}"],
        ):
            subprocess.run(["git", *command], cwd=self.tree, check=True)

    def change(self, path: str, old: str, new: str) -> None:
        """Put a text in the place of one that stands in a file once."""
        text = (self.tree / path).read_text("utf-8")
        assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
        (self.tree / path).write_text(text.replace(old, new))

    def act(self, event: str, *options: str, payload: object = None, environment: Mapping[str, str] | None = None) -> Acted:
        """Run the jobs of an event."""
        self._notes.write_text("")
        shutil.rmtree(self._artifacts, ignore_errors=True)
        told = self._folder / "event.json"
        told.write_text(json.dumps(payload or {}))
        variables = {
            "ROOT": str(ROOT),
            "NOTES": str(self._notes),
            "ARTIFACTS": str(self._artifacts),
            "PATH": self._path(),
        } | dict(environment or {})
        command: list[str | Path] = [
            program("act"), event, "--eventpath", told, "--action-cache-path", self._folder / "cache",
            "--platform", "ubuntu-24.04=-self-hosted", "--platform", "ubuntu-24.04-arm=-self-hosted",
            "--secret", "GITHUB_TOKEN=a-token-of-nobody", *self._local, *options,
        ]  # fmt: skip
        for name, text in variables.items():
            command += ["--env", f"{name}={text}"]
        ended = subprocess.run(
            command,
            cwd=self.tree,
            env={**os.environ, "XDG_CACHE_HOME": str(self._folder / "cache")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Acted(ended.returncode, ended.stdout, self._notes.read_text().splitlines())

    def _path(self) -> str:
        return os.pathsep.join([str(self._folder / "programs"), os.environ["PATH"]])

    def _programs(self) -> None:
        (self._folder / "programs").mkdir()
        for name, script in PROGRAMS.items():
            path = self._folder / "programs" / name
            path.write_text(f"#!/usr/bin/env bash\nset -eu\n{script}\n")
            path.chmod(0o755)

    def _actions(self) -> None:
        """Write the stand-ins of actions. Inputs reach them as variables, with _ for -."""
        self._local: list[str] = []
        used: dict[str, set[str]] = {}
        references: set[str] = set()
        for path in (self.tree / ".github").rglob("*.yml"):
            text = path.read_text("utf-8")
            references |= set(re.findall(r"uses: ([\w-]+/[\w/-]+@[0-9a-f]{40})\b", text))
        for reference in sorted(references):
            used.setdefault(reference.partition("@")[0], set()).add(reference)
        for name, found in used.items():
            if name == "actions/checkout":  # act leaves the tree as it is
                continue
            folder = self._folder / "actions" / name
            folder.mkdir(parents=True)
            inputs = re.findall(r"\$\{?(\w+)", ACTIONS[name])
            names = sorted({each for each in inputs if each.islower()})
            step = {
                "shell": "bash",
                "run": ACTIONS[name],
                "env": {each: f"${{{{ inputs.{each.replace('_', '-')} }}}}" for each in names},
            }
            action = {"name": name, "inputs": {each.replace("_", "-"): {"default": ""} for each in names}}
            text = yaml.safe_dump(action | {"runs": {"using": "composite", "steps": [step]}})
            (folder / "action.yml").write_text(text)
            for reference in found:
                self._local += ["--local-repository", f"{reference}={folder}"]
