#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# path: situations that decide where packets go. path_scene.py sets them up (they are in
# paths/situations.py), sends packets in each, and records which way they took. With SEED,
# the situations are random (paths/drawn.py).
set -eu
. "$(dirname "$0")/_lib.sh"

put 1 /proc/sys/net/core/fb_tunnels_only_for_init_net
put 1 /proc/sys/net/ipv6/conf/default/disable_ipv6
module veth
module bonding max_bonds=0
module dummy numdummies=0
module ifb numifbs=0
for name in bridge macvlan ipvlan 8021q tun sch_ingress cls_bpf act_bpf sch_mq xsk_diag; do
    module "$name"
done
bpffs
find_nic
ip netns add far
# The other half of RFS is in each queue.
put 1024 /proc/sys/net/core/rps_sock_flow_entries
# The truth of the other scenes would take longer than the packets, and no test asks.
: >"$RUN/truth-done"
python3 "$GUEST/path_scene.py" "$nic" /out/truth.json ${SEED:+"$SEED"} >"$RUN/path.log" 2>&1 ||
    die "path_scene.py: $(tail -n 20 "$RUN/path.log")"
while read -r line; do
    say "$line"
done <"$RUN/path.log"
say "path: done"
