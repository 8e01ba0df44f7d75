"""port.py WHEEL FOLDER: puts the Autobahn test suite, which is Python 2, as Python 3 into FOLDER.

In Python 2 the payloads of the cases are octets. Here they become texts with one character for
each octet: sources are read as latin-1, so that non-ASCII literals come out the same way, and
fuzz.py translates where the cases meet the network. lib2to3 does the syntax.
"""

import re
import shutil
import sys
import warnings
import zipfile
from pathlib import Path

warnings.simplefilter("ignore", DeprecationWarning)
from lib2to3.refactor import RefactoringTool  # noqa: E402

PACKAGE = "autobahntestsuite"
WANTED = ("_version.py", "caseset.py", "fuzzing.py", "case/", "testdata/")
FIXERS = ["dict", "except", "has_key", "import", "print", "unicode", "xrange"]

RESOURCE = r'pkg_resources\.resource_filename\("\w+", "testdata/%s" % (.+)\)$'
# Before its own subclass, which leaves Python 3 no order to look methods up in.
OBJECT_FIRST = (r"\(object, Case, \)", "(Case, )")

# By file: what stands there, what replaces it, how often.
EDITS = {
    # Everything for servers, reports and TLS.
    "fuzzing.py": [
        (r", pkg_resources$", "", 1),
        (r"^(from twisted\.internet import reactor), ssl$", r"\1", 1),
        (r"^from twisted\.web\..*\n", "", 2),
        (r"^from report import (.*\\\n)+.*\n", "", 1),
        (r"ssl\.ClientContextFactory\(\)", "None", 1),
    ],
    # Does not run, and asks for an old zope.interface.
    "case/__init__.py": [(r"^from case9_9_1 import \*$", "", 1)],
    # Pickles of equal values are equal in Python 2 only.
    "case/case.py": [(r"pickle\.dumps\((obj\d)\)", r"\1", 2)],
    "case/case10_1_1.py": [(r"len\(self\.payload\) /", "len(self.payload) //", 1)],
    # Payloads from files are octets here, too.
    "case/case12_x_x.py": [
        (r"^(import copy, os, )pkg_resources, (.*)$", rf"\1\2\nfrom {PACKAGE} import octets", 1),
        (RESOURCE, r"octets.testdata(\1)", 3),
        (r"msg = ''", "msg = b''", 1),
        (*OBJECT_FIRST, 2),
    ],
    "case/case6_x_x.py": [
        (r"v\.validate\((.+)\)$", r"v.validate((\1).encode('latin-1'))", 1),
        (*OBJECT_FIRST, 1),
    ],
    "case/case7_7_X.py": [(*OBJECT_FIRST, 1)],
    "case/case7_9_X.py": [(*OBJECT_FIRST, 1)],
    "case/case9_7_X.py": [(*OBJECT_FIRST, 1)],
}

# A module of the suite's, in the words of its cases.
OCTETS = '''
import binascii
import os


def b2a_hex(payload):
    payload = payload.encode("latin-1") if isinstance(payload, str) else payload
    return binascii.b2a_hex(payload).decode("ascii")


def testdata(name):
    return os.path.join(os.path.dirname(__file__), "testdata", name)
'''


def main(wheel, folder):
    folder = Path(folder)
    package = folder / PACKAGE
    shutil.rmtree(package, ignore_errors=True)
    with zipfile.ZipFile(wheel) as files:
        wanted = tuple(f"{PACKAGE}/{name}" for name in WANTED)
        files.extractall(folder, [name for name in files.namelist() if name.startswith(wanted)])
    (package / "__init__.py").write_text("from ._version import __version__ as version\n")
    tool = RefactoringTool([f"lib2to3.fixes.fix_{name}" for name in FIXERS])
    edits = dict(EDITS)
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        source = edited(name, path.read_text(encoding="latin-1"), edits.pop(name, []))
        # From the name and its neighbours, lib2to3 knows which imports are relative.
        path.write_text(str(tool.refactor_string(source + "\n", str(path))), encoding="utf-8")
    if edits:
        sys.exit(f"the suite has no {', '.join(edits)}")
    (package / "octets.py").write_text(OCTETS)


def edited(name, source, edits):
    if name.startswith("case/"):
        ours = f"from {PACKAGE} import octets as binascii"
        source = re.sub(r"^import binascii$", ours, source, flags=re.M)
    for old, new, times in edits:
        source, found = re.subn(old, new, source, flags=re.M)
        if found != times:
            sys.exit(f"{name}: {old} stands there {found} times, not {times}")
    return source


if __name__ == "__main__":
    main(*sys.argv[1:])
