#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# whose: who is behind each namespace, and what each device hangs on.
set -eu
. "$(dirname "$0")/_lib.sh"

put 1 /proc/sys/net/core/fb_tunnels_only_for_init_net
module veth
module bonding max_bonds=0
module dummy numdummies=0
for name in bridge macvlan macvtap ipvlan 8021q tun vrf team team_mode_activebackup \
    openvswitch; do
    module "$name"
done

# in_background COMMAND...: start it, and put its pid into $STARTED.
in_background() {
    setsid "$@" </dev/null >/dev/null 2>&1 &
    STARTED=$!
}

# wait_for FILE: until a process in the background has made it.
wait_for() {
    wait_tries=0
    until [ -e "$1" ]; do
        wait_tries=$((wait_tries + 1))
        [ $wait_tries -lt 600 ] || die "nobody made $1"
        sleep 0.1
    done
}

### Names, and mounts elsewhere.
for name in shop web rack spare nested fdonly sockonly netlinkonly tunonly inflight thread \
    orphan zombie iouring; do
    ip netns add "$name"
done
# mount_ns PATH: a namespace that only a mount holds.
mount_ns() {
    mkdir -p "${1%/*}"
    : >"$1"
    unshare --net mount --bind /proc/self/ns/net "$1"
}
mount_ns /run/docker/netns/1a2b3c4d5e6f
# Two of the same name.
mount_ns /run/left/default
mount_ns /run/right/default
# At two paths, one of them of `ip netns`.
: >/run/left/web
mount --bind /run/netns/web /run/left/web
# In another mount namespace only, where the others are mounted as well.
in_background unshare --mount --propagation private dash -c '
    mkdir -p /run/private
    : >/run/private/secret
    unshare --net mount --bind /proc/self/ns/net /run/private/secret
    : >/run/private/ready
    exec sleep infinity'
wait_for /run/private/ready

### Processes. More than ten in one; one that is stopped; in nested pid namespaces, where
### their own ids are 1; with a name that no terminal wants.
for number in 1 2 3 4 5 6 7 8 9 10 11 12 13; do
    in_background nsenter --net=/run/netns/shop sleep infinity
done
STOPPED=$STARTED
in_background nsenter --net=/run/netns/nested unshare --pid --fork \
    unshare --pid --fork sleep infinity
hold_ns
NAMELESS=$HOLDER
# Its name is that of the program's file.
odd=$RUN/$(printf 'odd\033[31m"<b>')
cp /usr/bin/sleep "$odd"
in_background unshare --net dash -c ': >/run/lab/odd-is-there; exec "$0" infinity' "$odd"
ODD=$STARTED
wait_for /run/lab/odd-is-there
in_background unshare --net --uts dash -c '
    printf "db-0\033[7m" >/proc/sys/kernel/hostname
    : >/run/lab/has-a-name
    exec sleep infinity'
NAMED_HOST=$STARTED
wait_for /run/lab/has-a-name
python3 "$GUEST/holders.py" fdonly:fd sockonly:socket netlinkonly:netlink tunonly:tun \
    inflight:inflight thread:thread orphan:orphan zombie:zombie spare:socket iouring:iouring

### Containers.
mkdir -p "$RUN/cgroup/systemd" "$RUN/cgroup/pids"
mount -t cgroup -o none,name=systemd systemd "$RUN/cgroup/systemd"
mount -t cgroup -o pids pids "$RUN/cgroup/pids"
python3 "$GUEST/containers.py" >"$RUN/groups"
POD=$(awk '$1 == "web" { print $2 }' "$RUN/groups")
POD_V1=$(awk '$1 == "old_pod" { print $2 }' "$RUN/groups")

### Devices between them, with addresses.
ip -batch - <<END
link add cni0 type bridge
link add vethpod type veth peer name eth0 index 2 netns $POD
link add vethold type veth peer name eth0 index 2 netns $POD_V1
link add to_nameless type veth peer name eth0 index 2 netns $NAMELESS
link add to_odd type veth peer name eth0 index 2 netns $ODD
link add to_host type veth peer name eth0 index 2 netns $NAMED_HOST
link add to_shop type veth peer name eth0 index 2 netns shop
link add to_web type veth peer name eth0 index 2 netns web
link add to_fd type veth peer name eth0 index 2 netns fdonly
link add to_sock type veth peer name eth0 index 2 netns sockonly
link add to_flight type veth peer name eth0 index 2 netns inflight
link add to_thread type veth peer name eth0 index 2 netns thread
link set dev vethpod master cni0
link set dev vethold master cni0
link add many type dummy
address add 10.42.0.1/24 dev cni0
address add 2001:db8:42::1/64 dev cni0 nodad
# Secondary; of another scope, with a label; on its way out; point-to-point.
address add 192.0.2.1/24 dev to_shop
address add 192.0.2.9/24 dev to_shop
address add 192.0.2.10/32 dev to_shop scope link label to_shop:1
address add 198.51.100.1/24 dev to_shop valid_lft 100000 preferred_lft 0
address add 10.9.0.1 peer 10.9.0.2/32 dev to_web
address add fd00:9::1 peer fd00:9::2/128 dev to_web nodad
address add 2001:db8:1::1/64 dev to_shop nodad
address add 2001:db8:1::5/128 dev to_shop nodad preferred_lft 0
address add fd00::5/7 dev to_shop nodad noprefixroute
link set group default up
END
for pid in $POD $POD_V1 $NAMELESS $ODD $NAMED_HOST; do
    nsenter --net --target "$pid" ip link set group default up
done
for name in shop web fdonly sockonly inflight thread; do
    ip -n "$name" link set group default up
done
nsenter --net --target "$POD" ip -batch - <<END
address add 10.42.0.17/24 dev eth0
address add 2001:db8:42::17/64 dev eth0 nodad
END
nsenter --net --target "$POD_V1" ip address add 10.42.0.18/24 dev eth0
ip -n shop address add 192.0.2.2/24 dev eth0
ip -n web address add 10.9.0.2 peer 10.9.0.1/32 dev eth0
# The same address in two places.
ip -n fdonly address add 192.0.2.2/24 dev eth0
for number in $(seq 1 120); do
    echo "address add 203.0.113.$number/32 dev many"
    echo "address add 2001:db8:77::$number/128 dev many nodad"
done | ip -batch -

### Devices on devices, in a namespace of their own.
in_ns rack ip -batch - <<END
# VLAN on bond on veth, in a bridge.
link add eth0 type veth peer name cable0
link add eth1 type veth peer name cable1
link add bond0 type bond mode 802.3ad miimon 100
link set dev eth0 master bond0
link set dev eth1 master bond0
link add link bond0 name bond0.40 type vlan id 40
link add br0 type bridge
link set dev bond0.40 master br0
link add bond1 type bond mode active-backup
link add bond2 type bond mode balance-alb
# QinQ.
link add qlow type veth peer name qlowp
link add link qlow name svlan type vlan protocol 802.1ad id 100
link add link svlan name cvlan type vlan id 7
link add link qlow name vid0 type vlan id 0
link add link qlow name vid4094 type vlan id 4094
# macvlan.
link add mvlow type veth peer name mvlowp
link add mvthru type veth peer name mvthrup
link add link mvlow name mvpriv type macvlan mode private
link add link mvlow name mvvepa type macvlan mode vepa
link add link mvlow name mvbridge type macvlan mode bridge
link add link mvlow name mvsource type macvlan mode source
link add link mvthru name mvpass type macvlan mode passthru
# A VLAN on a macvlan.
link add link mvbridge name mvbridge.5 type vlan id 5
# A VRF.
link add vrf0 type vrf table 10
link add invrf type dummy
link set dev invrf master vrf0
# Ports of a bridge without STP, whose state is set by hand below; and with it, and a loop.
link add br1 type bridge forward_delay 0
link add br2 type bridge stp_state 1 forward_delay 200 hello_time 100 max_age 600
link add loopa type veth peer name loopb
link set dev loopa master br2
link set dev loopb master br2
END
for state in 0 1 2 3 4; do
    echo "link add st$state type veth peer name st${state}p"
    echo "link set dev st$state master br1"
done | in_ns rack ip -batch -
for mode in l2 l3 l3s; do
    for flag in bridge private vepa; do
        echo "link add low_${mode}_$flag type dummy"
        echo "link add link low_${mode}_$flag name ${mode}_$flag type ipvlan mode $mode $flag"
    done
done >"$RUN/ipvlans"
ask "ipvlan" "Unknown device type" in_ns rack ip -batch "$RUN/ipvlans" || :
ask "macvtap" "Unknown device type" \
    in_ns rack ip link add link mvlow name mvtap type macvtap mode bridge || :
if ask "team" "Unknown device type" in_ns rack ip link add team0 type team; then
    in_ns rack ip -batch - <<END
link add tport type veth peer name tportp
link set dev tport master team0
END
fi
in_ns rack ip link add oport type veth peer name oportp
ask "openvswitch" "No such file|no family" in_ns rack python3 "$GUEST/ovs.py" ovs0 oport || :
if ask "netkit" "Unknown device type" \
    in_ns rack ip link add nk0 type netkit mode l3 peer name nk0p; then
    # Not in a batch: ip takes the mode of the second for one more of the first.
    in_ns rack ip link add nk1 type netkit mode l2 blackhole peer forward name nk1p
    in_ns rack ip link add nk2 type netkit mode l3 forward \
        peer blackhole name nk2p netns shop
    ip -n shop link set dev nk2p up
fi
in_ns rack ip link set group default up
# Until the loop is cut: one of its ports forwards, the other one blocks.
tries=0
until in_ns rack bridge link show >"$RUN/ports" &&
    grep -q '^[0-9]*: loop.*state forwarding' "$RUN/ports" &&
    grep -q '^[0-9]*: loop.*state blocking' "$RUN/ports"; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || die "the loop was not cut: $(cat "$RUN/ports")"
    sleep 0.1
done
# Once no carrier changes any more, which would enable the ports again. Where there is no
# STP, the kernel takes 4, blocking, for forwarding.
sleep 2
for state in 0 1 2 3 4; do
    in_ns rack bridge link set dev "st$state" state "$state"
done
sleep 2
for wanted in st0:disabled st1:listening st2:learning st3:forwarding; do
    in_ns rack bridge link show dev "${wanted%:*}" | grep -q "state ${wanted#*:}" ||
        die "$(in_ns rack bridge link show dev "${wanted%:*}") is not ${wanted#*:}"
done

### Names that go, while something else holds the namespace.
for name in fdonly sockonly netlinkonly tunonly inflight thread orphan; do
    ip netns del "$name"
done
kill -STOP "$STOPPED"
say "whose: done"
