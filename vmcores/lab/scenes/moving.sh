#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# moving: what the reports of a running kernel must not mix up. Eight loops (moving.py)
# create, delete, rename and move the devices of pairs, attach and detach programs, change
# queues, make and end namespaces and processes, until /run/lab/moving.stop exists. Names
# tell what belongs together: m17a is the peer of m17b, and the namespace n17 has m17b and
# nothing else. In between stand pairs that nobody touches: s1a is the peer of s1b.
#
# No state that the loops go through is worth a warning: no moving pair has one end up and
# the other down, none has fewer RX queues at its program than its peer has TX queues.
set -eu
. "$(dirname "$0")/_lib.sh"

STAY=${STAY:-20} MOVE=${MOVE:-1}

module veth
module bridge
# No addresses in init_net, nor what they send.
put 1 /proc/sys/net/ipv6/conf/default/disable_ipv6

i=0
while [ $i -lt "$STAY" ]; do
    echo "netns add stay$i"
    i=$((i + 1))
done | ip -batch -
i=0
while [ $i -lt "$STAY" ]; do
    echo "link add s${i}a type veth peer name s${i}b netns stay$i"
    i=$((i + 1))
done | ip -batch -

bpffs
# A generic program; a warning, an error, and RPS.
ip link add s100a numrxqueues 4 numtxqueues 4 type veth \
    peer name s100b numrxqueues 4 numtxqueues 4 netns stay0
ip link add s101a type veth peer name s101b
ip link add s102a numrxqueues 2 numtxqueues 2 type veth \
    peer name s102b numrxqueues 2 numtxqueues 2
ip link add s103a type veth peer name s103b
ethtool -L s100a rx 3 tx 2
ethtool -L s102b tx 1
xdp load stay_gen "$BPF/stay_gen" , load stay_drv "$BPF/stay_drv" \
    , link "$BPF/stay_gen" s101a generic "$BPF/stay_gen_link" \
    , link "$BPF/stay_drv" s102a driver "$BPF/stay_drv_link"
ethtool -L s102a rx 1 || :
put 3 "$INIT_NET/s100a/queues/rx-0/rps_cpus"
ip link set s103a up
ip link add stay_br type bridge
ip link set s0a master stay_br

if [ "$MOVE" = 1 ]; then
    python3 "$GUEST/moving.py"
fi

# The truth of what moves is not worth anything.
echo '{}' >/out/truth.json
: >"$RUN/truth-done"
say "moving: $STAY namespaces that stay"
