#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# random: random devices, the same for the same SEED (default 1).
set -eu
. "$(dirname "$0")/_lib.sh"

put 1 /proc/sys/net/ipv6/conf/default/disable_ipv6
module veth
module bonding max_bonds=0
module dummy numdummies=0
module ifb numifbs=0
for name in bridge macvlan ipvlan 8021q vrf tun vxlan; do
    module "$name"
done
bpffs
for name in r1 r2 r3; do
    ip netns add "$name"
done
python3 "$GUEST/random_scene.py" "${SEED:-1}" || die "the generator failed"
say "random: done, seed ${SEED:-1}"
