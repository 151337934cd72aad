#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# maps: what XDP programs reach, AF_XDP sockets, and programs of tc.
set -eu
. "$(dirname "$0")/_lib.sh"

# maps_devices: devices, and what maps.py makes on them.
maps_devices() {
    # Nothing is sent but what the scene sends.
    put 1 /proc/sys/net/ipv6/conf/all/disable_ipv6 /proc/sys/net/ipv6/conf/default/disable_ipv6
    for name in veth sch_ingress cls_bpf cls_matchall xsk_diag; do
        module "$name"
    done
    find_nic
    bpffs
    ip netns add maps
    in_ns maps dash -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
        echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
    for number in 0 1 2 3; do
        echo "link add mt${number}a type veth peer name mt${number}b"
    done >"$RUN/targets"
    ip -batch "$RUN/targets"
    ip -batch - <<END
link add mxa type veth peer name mxb
link add mia type veth peer name mib
link add mda type veth peer name mdb
link add msb numrxqueues 4 numtxqueues 4 type veth peer name msa numrxqueues 1 numtxqueues 1
link add mgone type veth peer name mgonep
link add mn0 type veth peer name eth0 netns maps
link add eth1 numrxqueues 2 numtxqueues 2 netns maps type veth peer name mn1
link add tca type veth peer name tcb
link add tcxa type veth peer name tcxb
link set group default up
END
    ip -n maps link set group default up
    # Of the queues of msb only the first gets packets, from the one TX queue of msa.
    python3 "$GUEST/maps.py" "$nic"
}

tc_program() {
    python3 "$GUEST/tc_programs.py" attach "$@"
}

# maps_tc: programs of tc.
maps_tc() {
    python3 "$GUEST/tc_programs.py" load tc_one tc_two tc_three tc_four tc_five
    tc -batch - <<END
qdisc add dev tca clsact
filter add dev tca ingress pref 20 bpf da object-pinned $BPF/tc_one
filter add dev tca ingress pref 10 bpf da object-pinned $BPF/tc_two
filter add dev tca ingress pref 30 matchall action pass
filter add dev tca ingress chain 7 pref 5 bpf da object-pinned $BPF/tc_three
filter add dev tca egress bpf da object-pinned $BPF/tc_four
qdisc add dev tcb ingress
filter add dev tcb ingress bpf da object-pinned $BPF/tc_one
qdisc add dev tcxb clsact
END
    if ask "tcx" "Invalid argument" tc_program tc_one tcxa tcx/ingress $BPF/tcx1; then
        tc_program tc_two tcxa tcx/ingress $BPF/tcx2
        tc_program tc_three tcxa tcx/egress $BPF/tcx3
        # Both at one hook.
        tc -batch - <<END
qdisc add dev tcxa clsact
filter add dev tcxa ingress bpf da object-pinned $BPF/tc_five
END
    fi
    if ask "netkit" "Unknown device type" ip link add mnka type netkit peer name mnkb; then
        ip link set dev mnka up
        ip link set dev mnkb up
        tc_program tc_one mnka netkit/primary $BPF/nk1
        tc_program tc_two mnka netkit/primary $BPF/nk2
        tc_program tc_three mnka netkit/peer $BPF/nk3
    fi
}

case $0 in */maps.sh)
    maps_devices
    maps_tc
    say "maps: done"
    ;;
esac
