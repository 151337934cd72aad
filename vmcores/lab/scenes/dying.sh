#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# dying: a network namespace whose last holder is gone, while its devices and their peers
# elsewhere still exist. cleanup_net() has taken it off the list of namespaces and waits
# for rtnl_mutex, which another process holds and never gives back.
#
# The kernel cannot answer afterwards, so this scene records the truth itself, just before,
# while the namespace still exists.
set -eu
. "$(dirname "$0")/_lib.sh"

module veth
bpffs
ip netns add pod1
hold_ns
inum=$(stat -L -c %i "/proc/$HOLDER/ns/net")

xdp load dying_nat $BPF/nat , load dying_gen $BPF/gen
ip -batch - <<END
link add lost0 type veth peer name eth0 index 2 netns $HOLDER
link add lost1 numrxqueues 2 numtxqueues 2 type veth peer name eth1 index 3 numrxqueues 2 numtxqueues 2 netns $HOLDER
# Not affected.
link add whole0 type veth peer name whole1
link add to_pod1 type veth peer name eth0 index 2 netns pod1
link set group default up
END
# A peer in a third namespace.
ip -n pod1 link add lost2 type veth peer name eth2 index 4 netns "$HOLDER"
ip -n pod1 link set group default up
nsenter --net --target "$HOLDER" ip -batch - <<END
# Both ends in the namespace that goes.
link add ina type veth peer name inb
link set group default up
link set dev eth0 xdpdrv pinned $BPF/nat
link set dev eth1 alias "about to go"
END
ip link set dev lost1 xdpgeneric pinned $BPF/gen
put 3 $INIT_NET/lost1/queues/rx-1/rps_cpus

echo "$inum" >"$RUN/dying"
say "dying: namespace $inum"
python3 "$GUEST/truth.py" "${TRUTH_OUT:-/out/truth.json}"
: >"$RUN/truth-done"

holds_rtnl=$(python3 "$GUEST/hold_rtnl.py" lo)
kill -KILL "$HOLDER"
# The worker that ends the namespace first takes it off the list and waits for RCU, and needs
# the mutex after that.
calm=0 tries=0
while [ $calm -lt 5 ]; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || die "no worker waits in cleanup_net()"
    sleep 0.1
    stack=$(grep -ls cleanup_net /proc/[0-9]*/stack || :)
    if [ -n "$stack" ] && ! grep -qE 'rcu|completion' "$stack"; then
        calm=$((calm + 1))
    else
        calm=0
    fi
done
grep -q userfault "/proc/$holds_rtnl/stack" || die "process $holds_rtnl does not wait"
say "dying: process $holds_rtnl holds rtnl_mutex, cleanup_net() waits for it"
