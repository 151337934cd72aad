#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# counters: traffic on devices of each kind, and then quiet.
set -eu
. "$(dirname "$0")/_lib.sh"
. "$(dirname "$0")/_counters.sh"

put 1 /proc/sys/net/core/fb_tunnels_only_for_init_net
counters_all

say "counters: done"
