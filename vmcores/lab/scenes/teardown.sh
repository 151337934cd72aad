#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# teardown: namespaces and devices that are on no list, and namespaces that nobody is in.
#
# A namespace of N dummies (default 1204) in cleanup_net(): its devices are in the middle of
# unregister_netdevice_many(), which holds rtnl_mutex and waits for the reader of a file in
# /proc/net/dev_snmp6 that never returns. A device in init_net that is deleted, and that a
# packet on its way holds. Two namespaces without a process or a mount: an open file holds
# one, a socket the other.
set -eu
. "$(dirname "$0")/_lib.sh"

N=${N:-1204}

module dummy numdummies=0
module veth

# Held by a file, and by a socket.
ip netns add byfile
ip -n byfile link add leak0 type dummy
setsid sleep infinity 7</run/netns/byfile >/dev/null 2>&1 &
echo "fd $(stat -L -c %i /run/netns/byfile) $! 7" >>"$RUN/leaked"
ip netns add bysocket
ip -n bysocket link add leak1 type dummy
inum=$(stat -L -c %i /run/netns/bysocket)
echo "socket $inum $(python3 "$GUEST/leave_socket.py" /run/netns/bysocket)" >>"$RUN/leaked"
ip netns del byfile
ip netns del bysocket
while read -r line; do
    say "teardown: leaked $line"
done <"$RUN/leaked"

ip link add whole0 type veth peer name whole1
ip link add stuck0 type dummy
ip link set stuck0 up
sends=$(python3 "$GUEST/stall.py" send stuck0)
setsid ip link del stuck0 >/dev/null 2>&1 &
deletes=$!
tries=0
until grep -q netdev_run_todo "/proc/$deletes/stack"; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || die "nobody waits for stuck0"
    sleep 0.1
done
say "teardown: stuck stuck0 $deletes $sends"

ip netns add pod1
i=0
while [ $i -lt "$N" ]; do
    echo "link add dummy$i type dummy"
    i=$((i + 1))
done | ip -n pod1 -batch -
inum=$(stat -L -c %i /run/netns/pod1)
echo "$inum" >"$RUN/dying"
say "teardown: namespace $inum $N"
python3 "$GUEST/truth.py" "${TRUTH_OUT:-/out/truth.json}"
: >"$RUN/truth-done"

reads=$(python3 "$GUEST/stall.py" read /run/netns/pod1 "dev_snmp6/dummy$((N / 2))")
ip netns del pod1
tries=0
until grep -ls proc_entry_rundown /proc/[0-9]*/stack >"$RUN/worker"; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || die "no worker waits for process $reads"
    sleep 0.1
done
worker=$(cut -d / -f 3 "$RUN/worker")
grep -q cleanup_net "/proc/$worker/stack" || die "not the worker: $(cat "/proc/$worker/stack")"
say "teardown: worker $worker waits for process $reads"
