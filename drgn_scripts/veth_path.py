#!/usr/bin/env drgn
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts drgn_veth.faces.veth_path of this checkout."""

if __name__ == "__main__":
    try:
        import os
        import sys

        # drgn puts only the folder of the script on sys.path.
        root = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
        sys.path.insert(0, os.path.join(root, "helpers"))
        from drgn_veth_start import start

        start("veth_path", globals().get("prog"))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
