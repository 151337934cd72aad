#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make a virtual environment, sooner than ``python3 -m venv``: ``venv.py FOLDER``.

venv compiles all of pip, which takes as long as to install what the tests need. Here
pip is unpacked from Python's own wheel, and compiles what it uses.
"""

import ensurepip
from pathlib import Path
import subprocess
import sys
import sysconfig
import zipfile

_PIP = """\
#!{python}
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""


def _wheels() -> "list[Path]":
    # Debian keeps them in a folder of its own.
    folders = [Path(ensurepip.__file__).parent / "_bundled"]
    theirs = sysconfig.get_config_var("WHEEL_PKG_DIR")
    if theirs:
        folders.insert(0, Path(theirs))
    return [path for folder in folders for path in folder.glob("pip-*.whl")]


def main(arguments: "list[str]") -> int:
    """Make the virtual environment."""
    (name,) = arguments
    folder = Path(name).absolute()
    wheels = _wheels()
    command = [sys.executable, "-m", "venv"]
    if not wheels:
        return subprocess.call([*command, str(folder)])
    subprocess.run([*command, "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    said = subprocess.run([str(python), "-c", code], stdout=subprocess.PIPE, check=True)
    with zipfile.ZipFile(str(wheels[0])) as wheel:
        wheel.extractall(said.stdout.decode().strip())
    script = folder / "bin" / "pip"
    script.write_text(_PIP.format(python=python))
    script.chmod(0o755)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
