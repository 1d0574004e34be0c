"""Puts together in one folder all that the image is to hold: `assemble.py PACKAGES ROOT`, run in the build stage.

The interpreter that runs this goes there, its standard library and PACKAGES as bytecode, the shared libraries that any of them
needs, the base's public certificates, and the few files of /etc without which a program does not know who or where it is.
It promises that what it leaves out is listed here by name. It reads no configuration of the machine that builds.
"""

from __future__ import annotations

import compileall
import marshal
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

#: The user that serves, also as a number: Kubernetes can tell a number from root, a name it can't.
USER_ID = 10001

#: Parts of the standard library that a server does not import: tests, windows, mail, XML, codecs of East Asia, and what builds,
#: installs, measures and debugs.
NOT_NEEDED = (
    "site-packages dist-packages __pycache__ sitecustomize.py EXTERNALLY-MANAGED config-* __phello__ test tests"
    " _pyrepl curses idlelib tkinter turtledemo turtle.py antigravity.py this.py"
    " ensurepip lib2to3 venv zipapp.py modulefinder.py pydoc_data pyclbr.py doctest.py unittest bdb.py"
    " pdb.py cProfile.py profile.py pstats.py trace.py tabnanny.py pickletools.py"
    " dbm shelve.py mailbox.py imaplib.py poplib.py smtplib.py ftplib.py xml xmlrpc plistlib.py webbrowser.py"
    " wave.py _pydecimal.py _pydatetime.py _pyio.py"
    " big5*.py euc_*.py gb*.py hz.py iso2022_*.py johab.py shift_*.py cp932.py cp949.py cp950.py"
    " _test*.so _ctypes_test*.so xxlimited*.so xxsubtype*.so _xx*.so _curses*.so _dbm*.so _gdbm*.so _tkinter*.so readline*.so"
    " _lsprof*.so pyexpat*.so _elementtree*.so"
    " _multibytecodec*.so _codecs_cn*.so _codecs_hk*.so _codecs_iso2022*.so _codecs_jp*.so _codecs_kr*.so _codecs_tw*.so"
)

#: Parts of packages for what is not here: other event loops, type checkers, another library's first version.
NOT_CALLED = (
    "anyio/_backends/_trio.py",
    "anyio/pytest_plugin.py",
    "cffi",  # argon2 calls _cffi_backend, which needs neither this nor its parser of C
    "click/testing.py",
    "pycparser",
    "pydantic/mypy.py",
    "pydantic/v1",
    "uvloop/_testbase.py",
)

#: Files of packages that only a compiler, a type checker or an installer reads; commands, which no shell is there to call;
#: and bills of materials, of which the image has one of its own.
NOT_RUN = "*.pyi *.pyx *.pxd *.c *.h *.cpp *.hpp *.a *.typed RECORD INSTALLER REQUESTED direct_url.json sboms bin __pycache__"

#: Languages and styles that nothing here is ever coloured in: Rich asks Pygments for them only to show source code. What remains
#: is an empty list of them, by its name.
NOT_COLOURED = {"pygments/lexers": "LEXERS", "pygments/formatters": "FORMATTERS", "pygments/styles": "STYLES"}

#: What the interpreter reads before it can unpack anything, or knows its library by.
NOT_PACKED = frozenset(["encodings", "os.pyc"])

#: Loaded by name and so in no list of needed libraries: glibc wants it to end a thread.
LOADED_BY_NAME = "libgcc_s.so.1"

#: The base image's bundle of public authorities.
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")

#: Bytes that stand before the code in a .pyc file (PEP 552).
PYC_HEADER_BYTES = 16

#: The earliest time that a zip archive knows.
NO_TIME = (1980, 1, 1, 0, 0, 0)

_RESOLVED = re.compile(r"^\s*(?:(\S+) => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)


def main(packages: Path, root: Path) -> None:
    """Fill `root`, an empty or missing folder."""
    interpreter = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    sites = Path(sysconfig.get_path("purelib"))

    copy(library, inside(root, library), NOT_NEEDED)
    copy(packages, inside(root, sites), NOT_RUN)
    for part in NOT_CALLED:
        path = inside(root, sites / part)
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for folder, listing in NOT_COLOURED.items():
        for module in inside(root, sites / folder).glob("*.py"):
            if module.name == "_mapping.py":
                module.write_text(f"{listing} = {{}}\n")
            elif module.name != "__init__.py":
                module.unlink()
    for metadata in inside(root, sites).glob("*.dist-info/METADATA"):
        metadata.write_bytes(metadata.read_bytes().partition(b"\n\n")[0] + b"\n")  # the fields, and no readme
    compile_all(root, inside(root, sites / "footfall"))

    program = inside(root, interpreter)
    program.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(interpreter, program)
    link = root / "usr/bin/python3"
    link.parent.mkdir(parents=True, exist_ok=True)
    if link != program:
        link.symlink_to(interpreter)
    for command in ("footfall", "footfall-ready"):
        shutil.copy(Path(__file__).parent / command, root / "usr/bin" / command)
    add_libraries(root, program)
    for binary in binaries(root):
        subprocess.run(["strip", "--strip-unneeded", binary], check=True)
    add_settings(root)

    pack(inside(root, library), inside(root, sites), at_start(root))


def inside(root: Path, path: Path) -> Path:
    """Where an absolute path of this machine lies below `root`."""
    return root / path.relative_to("/")


def copy(source: Path, target: Path, left_out: str) -> None:
    """Copy a tree, without the files and folders whose names match one of these patterns, which blanks separate."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*left_out.split()), symlinks=False)


def compile_all(root: Path, documented: Path) -> None:
    """Put bytecode in the place of every source file. It is the same for the same source: no time stands in it.

    Docstrings and asserts are left out (`python -OO`), but for what lies in `documented`: its docstrings are what --help says.
    """
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for folder, optimize in ((documented, 0), (root, 2)):
        if not compileall.compile_dir(
            folder, maxlevels=30, quiet=1, legacy=True, stripdir=root, workers=0, optimize=optimize, invalidation_mode=unchecked
        ):
            raise SystemExit("assemble: not everything could be compiled")
        for source in folder.rglob("*.py"):
            source.unlink()


def at_start(root: Path) -> set[str]:
    """The modules that a server imports when it starts, as the interpreter in `root` tells: so the build fails where it can't."""
    imports = "import sys, footfall.cli, footfall.commands.serve, footfall.server"
    program = f"{imports}; footfall.server.application(); print(*sys.modules)"
    environment = {"FOOTFALL_STORE": "memory://", "FOOTFALL_SITES": "localhost"}
    started = subprocess.run(
        ["chroot", root, "/usr/bin/python3", "-I", "-c", program],
        env=environment | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if started.returncode:
        raise SystemExit(f"assemble: what was put together does not start:\n{started.stderr}")
    return set(started.stdout.split())


def pack(library: Path, sites: Path, wanted: set[str]) -> None:
    """Move all modules of these folders into two archives, and all packages that hold nothing but modules.

    Those that are `wanted` at the start go into the archive of `_at_start`, the others into one that every Python looks in before
    it looks into the folder of its library: pythonXY.zip beside that. What has files or binaries of its own stays a folder: not
    all of those who read them know that a module may lie elsewhere. The archives are the same for the same modules.
    """
    gathered: dict[str, tuple[bool, bytes]] = {}
    with zipfile.ZipFile(
        library.parent / f"python{sys.version_info.major}{sys.version_info.minor}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9
    ) as packed:
        for folder in (library, sites):
            for part in sorted(folder.iterdir()):
                files = sorted(path for path in part.rglob("*") if path.is_file()) if part.is_dir() else [part]
                if part.name in NOT_PACKED or not files or any(file.suffix != ".pyc" for file in files):
                    continue
                for file in files:
                    place = file.relative_to(folder)
                    is_package = file.stem == "__init__"
                    name = ".".join((place.parent if is_package else place.with_suffix("")).parts)
                    if name in wanted:
                        gathered[name] = is_package, file.read_bytes()[PYC_HEADER_BYTES:]
                    else:
                        packed.writestr(_entry(place), file.read_bytes())
                shutil.rmtree(part) if part.is_dir() else part.unlink()
    (library / "_at_start.bin").write_bytes(zlib.compress(marshal.dumps(gathered), 9))
    py_compile.compile(
        str(Path(__file__).parent / "_at_start.py"),
        str(library / "_at_start.pyc"),
        "_at_start.py",
        doraise=True,
        optimize=2,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    (sites / "_at_start.pth").write_text("import _at_start\n")


def _entry(name: Path) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(str(name), NO_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def binaries(root: Path) -> Iterator[Path]:
    """The programs and shared libraries below `root`."""
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path


def add_libraries(root: Path, program: Path) -> None:
    """Add the shared libraries that what lies in `root` asks for, and the loader.

    All go where the C library lies: a loader without a cache looks there. Links are followed, each file gets the name it is
    asked for by.
    """
    found: dict[str, Path] = {}
    for binary in [program, *binaries(root)]:
        listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
        if "not found" in listed:
            raise SystemExit(f"assemble: {binary} needs what this base lacks:\n{listed}")
        for name, path in _RESOLVED.findall(listed):
            if not Path(path).is_relative_to(root):
                found[name or path] = Path(path)
    home = found["libc.so.6"].parent
    found[LOADED_BY_NAME] = home / LOADED_BY_NAME
    for name, path in found.items():
        target = inside(root, Path(name) if name.startswith("/") else home / name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path.resolve(), target)


def add_settings(root: Path) -> None:
    """Add what the C library, TLS and scanners look up in /etc."""
    for path in (AUTHORITIES, Path("/etc/os-release")):
        target = inside(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (root / "etc/passwd").write_text(f"root:x:0:0::/:/\nfootfall:x:{USER_ID}:{USER_ID}::/data:/\n")
    (root / "etc/group").write_text(f"root:x:0:\nfootfall:x:{USER_ID}:\n")
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")


if __name__ == "__main__":
    os.umask(0o022)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
