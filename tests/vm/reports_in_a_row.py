# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Reports of a kernel that changes, one after the other
-----------------------------------------------------

Run by drgn, which has opened the kernel::

    drgn --qemu SOCKET reports_in_a_row.py HELPERS OUTPUT COUNT [COMMAND...]

It writes one line of JSON for each report: its exit status, what it wrote on standard
error, how long it took, and the report. The command runs after the first, which has
also found all types and symbols.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
import traceback

helpers, output, count, *command = sys.argv[1:]
sys.path.insert(0, helpers)

from drgn_veth.faces import veth_report  # noqa: E402
from drgn_veth.faces.status import run  # noqa: E402

os.environ["DRGN_VETH_TRACEBACK"] = "1"
sys.argv[1:] = ["--format", "json"]
with open(output, "w", encoding="ascii") as results:
    for _ in range(int(count)):
        out, error = io.StringIO(), io.StringIO()
        begin = time.monotonic()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            try:
                status = run(veth_report.main, prog)  # type: ignore[name-defined]  # noqa: F821
            except Exception:
                traceback.print_exc()
                status = -1
        seconds = time.monotonic() - begin
        said = {"status": status, "error": error.getvalue(), "seconds": seconds}
        try:
            said["report"] = json.loads(out.getvalue())
        except ValueError:
            said["output"] = out.getvalue()
        results.write(json.dumps(said) + "\n")
        results.flush()
        if command:
            subprocess.run(command, check=True)
            command = []
