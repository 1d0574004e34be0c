"""Imports what the server's start needs from one archive that is read at once.

Several hundred modules are imported then. From files or from a zip archive, each costs a look into several places and a read:
0.12 s in all (0.62 s become 0.50 s, measured with the image's own modules). assemble.py says which they are, and writes the
archive beside this file; a .pth file has every interpreter import this one before anything else. It must not import what lies
in the archive itself.
"""

import marshal
import sys
import zlib

#: Of a module's name: whether it is a package, and its bytecode. As it is in the file, compressed and marshalled.
ARCHIVE = f"{sys.prefix}/lib/python{sys.version_info.major}.{sys.version_info.minor}/_at_start.bin"

_ModuleSpec = type(sys.__spec__)


class AtStart:
    """Finds and loads the modules of the archive (PEP 451). Each is loaded once, and then let go."""

    def __init__(self, archive):
        with open(archive, "rb") as file:
            self._modules = marshal.loads(zlib.decompress(file.read()))  # noqa: S302  # the build wrote it, and nobody can change it

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002  # what PEP 451 passes
        """Where a module is loaded from, if it is here."""
        found = self._modules.get(name)
        if found is None:
            return None
        is_package, _ = found
        origin = f"{ARCHIVE}/{name.replace('.', '/')}"
        spec = _ModuleSpec(name, self, origin=f"{origin}/__init__.pyc" if is_package else f"{origin}.pyc", is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations.append(_packed(name))
        return spec

    def create_module(self, spec):
        """Python's own way will do."""

    def exec_module(self, module):
        """Run the module's code."""
        _, code = self._modules.pop(module.__name__)
        exec(marshal.loads(code), module.__dict__)  # noqa: S102, S302  # as every import does


def _packed(package):
    """Where the other modules of a package lie, those that the start does not need."""
    archive = f"{sys.prefix}/lib/python{sys.version_info.major}{sys.version_info.minor}.zip"
    return f"{archive}/{package.replace('.', '/')}"


sys.meta_path.insert(2, AtStart(ARCHIVE))  # behind what is built in and what is frozen, before what is looked for in folders
