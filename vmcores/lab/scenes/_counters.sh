# SPDX-License-Identifier: LGPL-2.1-or-later
# Devices of each kind that counts in its own way, and traffic on them. A scene sources this
# after _lib.sh and calls counters_all; then it must send nothing more.

send() {
    python3 "$GUEST/send.py" "$@"
}

# counters_quiet [NETNS]: nothing is sent that the scene does not send.
counters_quiet() {
    if [ -e /proc/sys/net/ipv6 ]; then
        ${1:+in_ns $1} dash -c \
            'for name in all default; do echo 1 >/proc/sys/net/ipv6/conf/$name/disable_ipv6; done'
    fi
}

counters_devices() {
    module veth
    module dummy numdummies=0
    module bonding max_bonds=0
    for counters_module in bridge macvlan ipvlan 8021q tun ipip sch_tbf; do
        module "$counters_module"
    done
    bpffs
    counters_quiet
    ip netns add cfar
    counters_quiet cfar
    xdp load count_pass $BPF/cpass , load count_drop $BPF/cdrop ret 1 , \
        load count_tx $BPF/ctx ret 3 , load count_bad $BPF/cbad ret 4
    python3 "$GUEST/programs.py" redirect $BPF/credir
    ip -batch - <<END
# Plain; with its peer in another namespace; with one queue against several.
link add ca0 numrxqueues 4 numtxqueues 4 type veth peer name ca1 numrxqueues 4 numtxqueues 4
link add cb0 type veth peer name cb1 netns cfar
link add cc0 numrxqueues 1 numtxqueues 1 type veth peer name cc1 numrxqueues 3 numtxqueues 2
# XDP: drop, pass, TX with and without NAPI at the sender, redirect, a failed redirect, generic.
link add cd0 numrxqueues 2 numtxqueues 2 type veth peer name cd1 numrxqueues 2 numtxqueues 2
link add cp0 numrxqueues 2 numtxqueues 2 type veth peer name cp1 numrxqueues 2 numtxqueues 2
link add ct0 numrxqueues 2 numtxqueues 2 type veth peer name ct1 numrxqueues 2 numtxqueues 2
link add ce0 numrxqueues 2 numtxqueues 2 type veth peer name ce1 numrxqueues 2 numtxqueues 2
link add cr0 numrxqueues 2 numtxqueues 2 type veth peer name cr1 numrxqueues 2 numtxqueues 2
link add cx0 numrxqueues 2 numtxqueues 2 type veth peer name cx1 numrxqueues 2 numtxqueues 2
link add cf0 type veth peer name cf1
link add cg0 type veth peer name cg1
# Down by the end.
link add cz0 type veth peer name cz1
# Masters.
link add cbr address 02:00:00:00:00:02 type bridge
link add cbp0 master cbr type veth peer name cbq0
link add cbp1 master cbr type veth peer name cbq1
link add cbond type bond mode balance-rr
link add cbs0 type veth peer name cbt0
link add cbs1 type veth peer name cbt1
# Uppers. The address is where send.py sends to.
link add cl0 type veth peer name cl1
link add cvl link cl0 type vlan id 10
link add cvl1 link cl1 type vlan id 10
link add cmv link cl0 address 02:00:00:00:00:02 type macvlan mode bridge
link add cdum type dummy
# Qdiscs.
link add cq0 numtxqueues 2 type veth peer name cq1
link add cm0 numtxqueues 3 type veth peer name cm1
END
    ask "tap" "No such (file or )?device|Unknown device" ip tuntap add dev ctap mode tap || :
    ask "tun" "No such (file or )?device|Unknown device" ip tuntap add dev ctun mode tun || :
    ask "ipvlan" "Unknown device type" ip link add cipv link ca0 type ipvlan mode l2 || :
    ask "ipip" "Unknown device type" \
        ip link add cipip type ipip local 192.0.2.1 remote 192.0.2.2 || :
    if ask "netkit" "Unknown device type" \
        ip link add cnk0 type netkit mode l2 peer name cnk1; then
        ip link add cnd0 type netkit mode l3 blackhole peer blackhole name cnd1
    fi
    ask "vrf" "Unknown device type" ip link add cvrf type vrf table 10 || :
    find_nic
    # On slaves that have counted something, the bond counts from there.
    ip -batch - <<END
link set group default up
END
    ip -n cfar -batch - <<END
link set lo up
link set cb1 up
END
    send to cbs0 3 , to cbt0 5
    ip -batch - <<END
link set cbs0 down
link set cbs0 master cbond
link set cbs1 down
link set cbs1 master cbond
link set cbond up
link set cd1 xdpdrv pinned $BPF/cdrop
link set cp1 xdpdrv pinned $BPF/cpass
link set ct0 xdpdrv pinned $BPF/cpass
link set ct1 xdpdrv pinned $BPF/ctx
link set ce1 xdpdrv pinned $BPF/ctx
link set cr1 xdpdrv pinned $BPF/credir
link set cx1 xdpdrv pinned $BPF/cpass
link set cf1 xdpdrv pinned $BPF/cbad
link set cg1 xdpgeneric pinned $BPF/cdrop
END
    if ask "tbf" "kind is unknown" \
        tc qdisc add dev cq0 root tbf rate 8bit burst 1600 limit 2000; then
        tc qdisc add dev cm0 root handle 1: mq
        tc qdisc add dev cm0 parent 1:1 tbf rate 8bit burst 1600 limit 1000
        # What CPU 0 sends is to get there.
        put 1 $INIT_NET/cm0/queues/tx-0/xps_cpus
    fi
}

counters_traffic() {
    put f $INIT_NET/ca1/queues/rx-*/rps_cpus
    put f /proc/sys/net/core/flow_limit_cpu_bitmap
    send to ca0 20 0 1 2 3 , to ca1 10 1 , to cb0 5 , to cfar/cb1 6 , to cc0 7 0 1 , to cc1 8 0 1 2
    # More than a backlog takes, where the CPUs are slow enough.
    counters_backlog=$(cat /proc/sys/net/core/netdev_max_backlog)
    put 2 /proc/sys/net/core/netdev_max_backlog
    send to ca0 300 0
    put "$counters_backlog" /proc/sys/net/core/netdev_max_backlog
    send redirect $BPF/credir cx0 , to cd0 30 0 1 , to cp0 20 0 1 , to ct0 20 0 1 , \
        to ce0 15 0 1 , to cr0 25 0 1 2 , to cx0 5 , to cf0 9 , to cg0 11 , to cz0 4 , \
        to cbq0 12 , to cbr 6 , to cbond 13 , to cbt0 4 , to cbt1 5 , to cvl 7 , to cvl1 9 , \
        to cmv 5 , to cl1 4 , to cdum 21 , to "$nic" 5 , to lo 3 , \
        queue cq0 12 , queue cm0 12
    for counters_tun in ctap ctun; do
        if [ -d $INIT_NET/$counters_tun ]; then
            send tun $counters_tun 6 , to $counters_tun 5
        fi
    done
    for counters_name in cipv cipip cnk0 cnk1 cnd0 cvrf; do
        if [ -d $INIT_NET/$counters_name ]; then
            send to $counters_name 8
        fi
    done
    ip link set cz0 down
    # Of a slave that leaves, the bond keeps what it counted.
    ip link set cbs1 nomaster
    ip link set cbs1 up
    send to cbs1 6 , to cbt1 7
}

# counters_all: devices and traffic; nothing may be sent afterwards.
counters_all() {
    counters_devices
    counters_traffic
    : >"$RUN/counters"
}
