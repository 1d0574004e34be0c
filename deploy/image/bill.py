"""Writes down what the image is made of: `bill.py PACKAGES ROOT NPM_LOCK`, run in the build stage behind assemble.py.

The bill of materials is CycloneDX 1.6 (ECMA-424) in ROOT/usr/share/footfall/sbom.cdx.json: Python and its packages, the
Debian packages whose files were taken, and what the front end was built from. For scanners that look at the files themselves,
each Debian package's entry stands in /var/lib/dpkg/status.d/, as in other images without a package manager, and its
copyright in /usr/share/doc/.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

#: Where the bill lies in the image.
BILL = Path("usr/share/footfall/sbom.cdx.json")

#: Where scanners look for Debian packages in an image that has no package manager.
STATUS_FOLDER = Path("var/lib/dpkg/status.d")

Component = dict[str, Any]


def main(packages: Path, root: Path, npm_lock: Path) -> None:
    """Write the bill and the entries that it is made from."""
    installed = sorted(distributions(path=[str(packages)]), key=lambda each: each.name.lower())
    footfall = next(each for each in installed if each.name == "footfall")
    components = [
        component("python", platform.python_version(), f"pkg:generic/python@{platform.python_version()}", "PSF-2.0"),
        *(python_package(each) for each in installed if each is not footfall),
        *(debian_package(name, root) for name in sorted(owners(root))),
        *npm_packages(npm_lock),
    ]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": python_package(footfall) | {"type": "application"}},
        "components": components,
    }
    target = root / BILL
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bill, indent=1) + "\n", "utf-8")


def component(name: str, version: str, purl: str, licence: str | None = None) -> Component:
    """One entry. `purl` is its package URL (ECMA-427), `licence` an SPDX expression."""
    entry: Component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return entry | ({"licenses": [{"expression": licence}]} if licence else {})


def python_package(package: Distribution) -> Component:
    """The entry of an installed Python package."""
    name = package.name.lower().replace("_", "-").replace(".", "-")
    licences = package.metadata.get_all("License-Expression") or [None]
    return component(package.name, package.version, f"pkg:pypi/{name}@{package.version}", licences[0])


def owners(root: Path) -> set[str]:
    """The Debian packages that files of the image come from."""
    taken = {"/" + str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    names = {name for path in taken if Path(path).exists() for name in {path, str(Path(path).resolve())}}
    asked = subprocess.run(["dpkg-query", "--search", *sorted(names)], capture_output=True, text=True, check=False).stdout
    return {name.split(":")[0] for line in asked.splitlines() for name in line.partition(": ")[0].split(", ") if " " not in name}


def debian_package(name: str, root: Path) -> Component:
    """The entry of a Debian package; what dpkg knows of it and its copyright go into the image."""
    status = subprocess.run(["dpkg-query", "--status", name], capture_output=True, text=True, check=True).stdout
    target = root / STATUS_FOLDER / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(status, "utf-8")
    copyright = Path("usr/share/doc") / name / "copyright"
    if (Path("/") / copyright).exists():
        (root / copyright).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path("/") / copyright, root / copyright)
    fields = dict(line.split(": ", 1) for line in status.splitlines() if ": " in line and not line.startswith(" "))
    version, machine = fields["Version"], fields["Architecture"]
    return component(name, version, f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={machine}")


def npm_packages(lock: Path) -> Iterator[Component]:
    """The packages that reach browsers: those of the lock that are not for development alone."""
    for path, package in sorted(json.loads(lock.read_text("utf-8")).get("packages", {}).items()):
        if path and not package.get("dev") and not package.get("optional"):
            name = path.rpartition("node_modules/")[2]
            purl = f"pkg:npm/{quote(name, safe='/')}@{package['version']}"
            yield component(name, package["version"], purl, package.get("license"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
