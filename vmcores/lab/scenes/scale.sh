#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# scale: N veth pairs over M namespaces, as on a node with many containers: one end in
# init_net, the other in one of the namespaces, both up, 1 real queue of the default ones.
# T processes sleep in these namespaces, in one container for each. TRAFFIC packets go
# both ways through each pair. With HELD=1, nothing but open files of one process keeps
# the namespaces.
set -eu
. "$(dirname "$0")/_lib.sh"

N=${N:-1000} M=${M:-50} T=${T:-0} TRAFFIC=${TRAFFIC:-0}
HELD=${HELD:-0}

module veth
# No addresses in init_net: they bring thousands of timers and packets.
put 1 /proc/sys/net/ipv6/conf/default/disable_ipv6

i=0
while [ $i -lt "$M" ]; do
    echo "netns add ns$i"
    i=$((i + 1))
done | ip -batch -
# A namespace begins with IPv6 whatever init_net has. Its router solicitations would be
# counted with the traffic.
i=0
while [ $i -lt "$M" ] && [ "$TRAFFIC" -gt 0 ]; do
    in_ns "ns$i" dash -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
    i=$((i + 1))
done

i=0
while [ $i -lt "$N" ]; do
    echo "link add veth$i type veth peer name eth$((i / M)) netns ns$((i % M))"
    i=$((i + 1))
done | ip -batch -
ip link set group default up
i=0
while [ $i -lt "$M" ]; do
    ip -n "ns$i" link set group default up
    i=$((i + 1))
done

i=0
while [ $i -lt "$N" ]; do
    put f "$INIT_NET/veth$i/queues/rx-0/rps_cpus"
    i=$((i + 10))
done

if [ "$TRAFFIC" -gt 0 ]; then
    python3 "$GUEST/scale_traffic.py" "$N" "$M" "$TRAFFIC" || die "other packets arrived than were sent"
fi

# They wait for someone to open a FIFO. A shell that only forks takes little memory.
mkfifo "$RUN/never"
# shellcheck disable=SC2016 # for the shell that it starts
sleepers='
    echo 0 >"$1/cgroup.procs"
    while [ $2 -gt 0 ]; do
        read -r _ <"$3" &
        set -- "$1" $(($2 - 1)) "$3"
    done'
i=0
while [ $i -lt "$M" ] && [ "$T" -gt 0 ]; do
    scope=/sys/fs/cgroup/system.slice/docker-$(printf %064x $i).scope
    mkdir -p "$scope"
    in_ns "ns$i" dash -c "$sleepers" sleepers "$scope" $(((T + i) / M)) "$RUN/never" \
        </dev/null >/dev/null 2>&1
    i=$((i + 1))
done

if [ "$HELD" -gt 0 ]; then
    # shellcheck disable=SC2016 # for the shell that it starts
    bash -c 'ulimit -n 65536
        for name in /run/netns/*; do exec {fd}<"$name"; done
        read -r _ <"$0" &' "$RUN/never" </dev/null >/dev/null 2>&1
    ls /run/netns | sed "s/^/netns del /" | ip -batch -
fi

# In a thousand namespaces, or of ten thousand devices, the truth takes half an hour. No
# test asks for it.
if [ "$M" -gt 100 ] || [ "$N" -ge 2000 ]; then
    echo '{}' >/out/truth.json
    : >"$RUN/truth-done"
fi

say "scale: $N pairs over $M namespaces, $T processes, held: $HELD"
