#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# scale: N veth pairs over M namespaces, as on a node with many containers: one end in
# init_net, the other in one of the namespaces, both up, 1 real queue of the default ones.
set -eu
. "$(dirname "$0")/_lib.sh"

N=${N:-1000} M=${M:-50}

module veth
# No addresses: they bring thousands of timers and packets.
put 1 /proc/sys/net/core/devconf_inherit_init_net
put 1 /proc/sys/net/ipv6/conf/default/disable_ipv6

i=0
while [ $i -lt "$M" ]; do
    echo "netns add ns$i"
    i=$((i + 1))
done | ip -batch -

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

say "scale: $N pairs over $M namespaces"
