#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# rules: for each rule a pair that has the fault (r...), and a twin that differs in a single
# thing (t...). The rule is about the end whose name ends in "a". At the end symptoms.py,
# which knows the pairs by name (cases.py), measures what the kernel does with them.
set -eu
. "$(dirname "$0")/_lib.sh"

put 1 /proc/sys/net/core/fb_tunnels_only_for_init_net
module veth
module dummy numdummies=0
module macvlan
module 8021q
module tun
bpffs
# Senders and RPS targets differ by their CPU. CPU 4 is isolated, CPU 5 goes offline.
[ "$(nproc --all)" -eq 6 ] || die "this scene needs 6 CPUs"

for name in far rps xdp; do
    ip netns add "$name"
done
# No neighbour discovery among the packets that it counts.
if [ -e /proc/sys/net/ipv6 ]; then
    for pid in self far rps xdp; do
        quiet='echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
        if [ $pid = self ]; then
            dash -c "$quiet"
        else
            in_ns $pid dash -c "$quiet"
        fi
    done
fi

### Programs.
xdp load rule_pass $BPF/pass , load rule_drop $BPF/drop ret 1 , \
    load rule_tx $BPF/tx ret 3
frags=false
if ask "xdp.frags" "Invalid argument" xdp load rule_frags $BPF/frags frags; then
    frags=true
fi
python3 "$GUEST/programs.py" observe $BPF/observe_r , observe $BPF/observe_t , \
    observe $BPF/observe_m , redirect $BPF/redirect , \
    observe $BPF/observe_v , observe $BPF/observe_w , observe $BPF/observe_n , \
    observe $BPF/observe_o , observe $BPF/observe_q , \
    devmap $BPF/devmap_r , devmap $BPF/devmap_t , \
    devmap $BPF/devmap_fr , devmap $BPF/devmap_ft , \
    devmap $BPF/devmap_u , devmap $BPF/devmap_v , \
    observe $BPF/observe_e , observe $BPF/observe_b , observe $BPF/observe_s

### Devices. Those of group 1 stay down, all others are set up together below.
ip -batch - <<END
# xdp-native-queues: RX 2, or 4, against TX 4.
link add rnqa numrxqueues 2 numtxqueues 2 type veth peer name rnqb netns far numrxqueues 2 numtxqueues 4
link add tnqa numrxqueues 4 numtxqueues 2 type veth peer name tnqb netns far numrxqueues 2 numtxqueues 4
# Faults that show only once the first is fixed: a generic program as well, too few queues
# as well.
link add rnga numrxqueues 2 numtxqueues 2 type veth peer name rngb netns far numrxqueues 2 numtxqueues 4
link add tnga numrxqueues 4 numtxqueues 2 type veth peer name tngb netns far numrxqueues 2 numtxqueues 4
link add rmqa numrxqueues 2 numtxqueues 2 type veth peer name rmqb netns far numrxqueues 2 numtxqueues 4
link add tmqa numrxqueues 2 numtxqueues 2 type veth peer name tmqb netns far numrxqueues 2 numtxqueues 4
link add rpqa numrxqueues 2 numtxqueues 2 mtu 9000 type veth peer name rpqb netns far mtu 9000 numrxqueues 2 numtxqueues 4
link add tpqa numrxqueues 2 numtxqueues 2 mtu 9000 type veth peer name tpqb netns far mtu 3506 numrxqueues 2 numtxqueues 4
# xdp-queue-without-program, xdp-stale-program, xdp-queue-overflow: shrunk below, where that can be.
link add rqwa numrxqueues 4 numtxqueues 1 type veth peer name rqwb numrxqueues 1 numtxqueues 4
link add tqwa numrxqueues 4 numtxqueues 1 type veth peer name tqwb numrxqueues 1 numtxqueues 4
link add rspa numrxqueues 4 numtxqueues 1 type veth peer name rspb numrxqueues 1 numtxqueues 4
link add tspa numrxqueues 4 numtxqueues 1 type veth peer name tspb numrxqueues 1 numtxqueues 4
link add rqva numrxqueues 4 numtxqueues 1 type veth peer name rqvb numrxqueues 1 numtxqueues 4
# xdp-peer-mtu, mtu-frozen, xdp-max-mtu-stale.
link add rpma mtu 9000 type veth peer name rpmb netns far mtu 9000
link add tpma mtu 9000 type veth peer name tpmb netns far mtu 3506
link add rmfa type veth peer name rmfb netns far
link add tmfa type veth peer name tmfb netns far
link add rmsa type veth peer name rmsb netns far
link add tmsa type veth peer name tmsb netns far
link add rmta type veth peer name rmtb netns far
link add tmta type veth peer name tmtb netns far
# xdp-tx-lost: the twin's peer has a program, the third one's has GRO.
link add rxta type veth peer name rxtb netns far
link add txta type veth peer name txtb netns far
link add gxta type veth peer name gxtb netns far
# queues-one-sided: given for this end, for the other end, for both.
link add rosa numrxqueues 2 numtxqueues 2 type veth peer name rosb
link add rota type veth peer name rotb numrxqueues 2 numtxqueues 2
link add tosa numrxqueues 2 numtxqueues 2 type veth peer name tosb numrxqueues 2 numtxqueues 2
# xdp-mode-conflict, xdp-link-owns-hook, xdp-upper-program.
link add rmca type veth peer name rmcb
link add tmca type veth peer name tmcb
link add rloa type veth peer name rlob
link add tloa type veth peer name tlob
link add rupa type veth peer name rupb
link add tupa type veth peer name tupb
link add rupm link rupa type macvlan mode bridge
link add tupm link tupa type macvlan mode bridge
# mtu-mismatch, peer-down.
link add rmma mtu 9000 type veth peer name rmmb netns far mtu 1500
link add tmma mtu 9000 type veth peer name tmmb netns far mtu 9000
link add rpda type veth peer name rpdb netns far group 1
link add tpda type veth peer name tpdb netns far
# veth-poll-out-of-range: RX 4, polled, against 2 TX queues at all; and against 4.
link add rvpa numrxqueues 4 numtxqueues 2 type veth peer name rvpb numrxqueues 2 numtxqueues 2
link add tvpa numrxqueues 4 numtxqueues 2 type veth peer name tvpb numrxqueues 2 numtxqueues 4
# netkit-default-attach: the twin is a veth.
link add tnka type veth peer name tnkb
# xdp-hidden-vlan-tag, generic-xdp-big-packets: the peers of the twins have no offload.
link add rhva type veth peer name rhvb netns far
link add thva type veth peer name thvb netns far
link add rhoa type veth peer name rhob netns far
link add thoa type veth peer name thob netns far
link add rbpa type veth peer name rbpb netns far
link add tbpa type veth peer name tbpb netns far
# xdp-unfinished-checksum: likewise.
link add rusa type veth peer name rusb netns far
link add tusa type veth peer name tusb netns far
# xdp-gro-off.
link add rgoa type veth peer name rgob netns far
link add tgoa type veth peer name tgob netns far
# veth-packets-lost: an MTU that is lowered for a moment; a ring, set up below.
link add rpla mtu 9000 type veth peer name rplb netns far mtu 9000
link add tpla mtu 9000 type veth peer name tplb netns far mtu 16500
link add rfra type veth peer name rfrb netns far
link add tfra type veth peer name tfrb netns far
# veth-not-delivered: a bridge takes all.
link add rnda type veth peer name rndb netns far
link add tnda type veth peer name tndb netns far
link add tndbr type bridge
link set tnda master tndbr
# qdisc-drops: set up below.
link add rqpa type veth peer name rqpb netns far
link add tqpa type veth peer name tqpb netns far
END
# xdp-no-ethernet-header: the twin is a tap.
ip tuntap add dev rnea mode tun
ip tuntap add dev tnea mode tap
ip -n far -batch - <<END
link add link rhvb name rhvv type vlan id 5
link add link thvb name thvv type vlan id 5
# The outer tag of two.
link add link rhob name rhov type vlan protocol 802.1ad id 6
link add link thob name thov type vlan protocol 802.1ad id 6
END
ip -n rps -batch - <<END
# rps-queue-out-of-range: RX 2, and 1, against TX 4.
link add rroa numrxqueues 2 numtxqueues 2 type veth peer name rrob numrxqueues 2 numtxqueues 4
link add troa numrxqueues 4 numtxqueues 2 type veth peer name trob numrxqueues 2 numtxqueues 4
link add rrsa numrxqueues 1 numtxqueues 2 type veth peer name rrsb numrxqueues 2 numtxqueues 4
link add trsa numrxqueues 1 numtxqueues 2 type veth peer name trsb numrxqueues 2 numtxqueues 2
# rps-queue-off-by-one, rps-which-end, generic-xdp-cpu.
link add roba numrxqueues 4 numtxqueues 4 type veth peer name robb numrxqueues 4 numtxqueues 4
link add toba numrxqueues 4 numtxqueues 4 type veth peer name tobb numrxqueues 4 numtxqueues 4
link add rwea numrxqueues 4 numtxqueues 4 type veth peer name rweb numrxqueues 4 numtxqueues 4
link add twea numrxqueues 4 numtxqueues 4 type veth peer name tweb numrxqueues 4 numtxqueues 4
link add rgca numrxqueues 4 numtxqueues 4 type veth peer name rgcb numrxqueues 4 numtxqueues 4
link add tgca numrxqueues 4 numtxqueues 4 type veth peer name tgcb numrxqueues 4 numtxqueues 4
# rps-queue-without-mask.
link add rwma numrxqueues 4 numtxqueues 4 type veth peer name rwmb numrxqueues 4 numtxqueues 4
link add twma numrxqueues 4 numtxqueues 4 type veth peer name twmb numrxqueues 4 numtxqueues 4
# rps-cpu-offline: all CPUs of the mask, and one of two. rps-isolated-cpus, rfs-half-set.
link add rcoa type veth peer name rcob
link add rcpa type veth peer name rcpb
link add tcoa type veth peer name tcob
link add risa type veth peer name risb
link add tisa type veth peer name tisb
link add rrfa type veth peer name rrfb
link add trfa type veth peer name trfb
END
ip -n xdp -batch - <<END
# What arrives at srca is redirected, by the CPU that sent it into srcb.
link add srca numrxqueues 5 numtxqueues 5 type veth peer name srcb numrxqueues 5 numtxqueues 5
# xdp-redirect-not-ready: the twin's peer has a program.
link add rrda type veth peer name rrdb netns far
link add trda type veth peer name trdb netns far
# And by a map: what arrives at srma goes to rrma, at stma to trma.
link add srma type veth peer name srmb
link add stma type veth peer name stmb
link add rrma type veth peer name rrmb netns far
link add trma type veth peer name trmb netns far
# xdp-redirect-failed: to a dummy, which takes no frames; to the pair of the twin above.
link add rrfda type veth peer name rrfdb netns far
link add trfda type veth peer name trfdb netns far
link add rrfdd type dummy
# xdp-unfinished-checksum: what arrives goes to trma; the twin's peer has no offload.
link add ruma type veth peer name rumb netns far
link add tuma type veth peer name tumb netns far
# queues-cpus: fewer RX queues than CPUs, more, as many.
link add rqca numrxqueues 2 numtxqueues 2 type veth peer name rqcb numrxqueues 2 numtxqueues 2
link add rqda numrxqueues 8 numtxqueues 2 type veth peer name rqdb numrxqueues 2 numtxqueues 2
link add tqca numrxqueues 5 numtxqueues 2 type veth peer name tqcb numrxqueues 2 numtxqueues 2
# tx-queue-stuck: one that polls for GRO alone, and has real queues on the other end.
link add rtsa numrxqueues 4 numtxqueues 4 type veth peer name rtsb netns far numrxqueues 4 numtxqueues 4
# xdp-link-pinned-only.
link add rlpa type veth peer name rlpb
link add tlpa type veth peer name tlpb
END
ask "netkit" "Unknown device type" \
    ip link add rnka type netkit mode l2 peer name rnkb || :

# Fewer queues at first than there are.
channels=false
if ask "ethtool -L on veth" "not supported" ethtool -L rqwa rx 2; then
    channels=true
    for short in rqw rsp rqv; do
        ethtool -L ${short}b tx 2
    done
    ethtool -L rqva rx 2
fi

ip link set group default up
for name in far rps xdp; do
    ip -n $name link set group default up
done

### XDP.
ip -batch - <<END
link set dev rqwa xdpdrv pinned $BPF/drop
link set dev tqwa xdpdrv pinned $BPF/drop
link set dev rspa xdpdrv pinned $BPF/drop
link set dev tspa xdpdrv pinned $BPF/drop
link set dev rqva xdpdrv pinned $BPF/drop
link set dev rmfa xdpdrv pinned $BPF/pass
link set dev tmfa xdpgeneric pinned $BPF/pass
link set dev tmsa xdpdrv pinned $BPF/pass
link set dev rxta xdpdrv pinned $BPF/tx
link set dev txta xdpdrv pinned $BPF/tx
link set dev gxta xdpdrv pinned $BPF/tx
link set dev rmca xdpgeneric pinned $BPF/pass
link set dev rnga xdpgeneric pinned $BPF/pass
link set dev tnga xdpgeneric pinned $BPF/pass
link set dev rmqa xdpgeneric pinned $BPF/pass
link set dev tloa xdpdrv pinned $BPF/pass
link set dev rupm xdpgeneric pinned $BPF/pass
link set dev rvpa xdpdrv pinned $BPF/pass
link set dev tvpa xdpdrv pinned $BPF/pass
link set dev rhva xdpdrv pinned $BPF/observe_v
link set dev thva xdpdrv pinned $BPF/observe_w
link set dev rhoa xdpdrv pinned $BPF/observe_o
link set dev thoa xdpdrv pinned $BPF/observe_q
link set dev rnea xdpgeneric pinned $BPF/observe_n
link set dev tnea xdpgeneric pinned $BPF/observe_e
link set dev rbpa xdpgeneric pinned $BPF/observe_b
link set dev tbpa xdpgeneric pinned $BPF/observe_s
link set dev rusa xdpdrv pinned $BPF/tx
link set dev tusa xdpdrv pinned $BPF/tx
link set dev rgoa xdpdrv pinned $BPF/pass
link set dev tgoa xdpdrv pinned $BPF/pass
END
ip -n far -batch - <<END
link set dev txtb xdpdrv pinned $BPF/pass
link set dev trdb xdpdrv pinned $BPF/pass
link set dev trmb xdpdrv pinned $BPF/pass
link set dev rusb xdpdrv pinned $BPF/pass
link set dev tusb xdpdrv pinned $BPF/pass
END
in_ns far ethtool -K thvb txvlan off
in_ns far ethtool -K thob tx-vlan-stag-hw-insert off
in_ns far ethtool -K tbpb tso off
in_ns far ethtool -K tusb tx off
in_ns far ethtool -K tumb tx off
# Before v5.13 it is on.
ethtool -K rgoa gro off
ethtool -K tgoa gro on
ip -n rps -batch - <<END
link set dev rgca xdpgeneric pinned $BPF/observe_r
link set dev tgca xdpgeneric pinned $BPF/observe_t
END
ip -n xdp -batch - <<END
link set dev srca xdpdrv pinned $BPF/redirect
link set dev srma xdpdrv pinned $BPF/devmap_r
link set dev stma xdpdrv pinned $BPF/devmap_t
link set dev rrfda xdpdrv pinned $BPF/devmap_fr
link set dev trfda xdpdrv pinned $BPF/devmap_ft
link set dev ruma xdpdrv pinned $BPF/devmap_u
link set dev tuma xdpdrv pinned $BPF/devmap_v
link set dev rqca xdpdrv pinned $BPF/pass
link set dev rqda xdpdrv pinned $BPF/pass
link set dev tqca xdpdrv pinned $BPF/pass
END
in_ns xdp python3 "$GUEST/programs.py" fill $BPF/devmap_r rrma , fill $BPF/devmap_t trma , \
    fill $BPF/devmap_fr rrfdd , fill $BPF/devmap_ft trma , \
    fill $BPF/devmap_u trma , fill $BPF/devmap_v trma
# Not in one call, so that a process of its own holds each.
xdp link $BPF/pass rloa driver hold , in xdp link $BPF/pass rlpa driver $BPF/link_rlpa
xdp in xdp link $BPF/pass tlpa driver hold
for name in gxtb rtsb; do
    ask "GRO on veth" "not supported|Could not change" \
        ip netns exec far ethtool -K $name gro on || :
done

# xdp-virtio-slow-tx: there is one TX queue, and no twin.
find_nic
ip link set dev "$nic" down
ip link set dev "$nic" name rvna
ask "native XDP on virtio_net" "Cannot allocate memory|Too few free TX rings" \
    ip link set dev rvna xdpdrv pinned $BPF/pass || :

# A program that replaces one with a higher, and with a lower, limit.
if $frags; then
    ip -batch - <<END
link set dev rmsa xdpdrv pinned $BPF/frags
link set dev rmta xdpdrv pinned $BPF/pass
link set dev tmta xdpdrv pinned $BPF/frags
END
    ip -force link set dev rmsa xdpdrv pinned $BPF/observe_m
    ip -force link set dev rmta xdpdrv pinned $BPF/frags
    if ask "a stale max_mtu" "mtu greater than device maximum" \
        ip -n far link set dev rmsb mtu 9000; then
        ip link set dev rmsa mtu 9000
    fi
fi

# Queues that come, and go, under a program.
if $channels; then
    ethtool -L rqwa rx 4
    ethtool -L rqwb tx 4
    ethtool -L rspa rx 2
fi

### RPS: all to CPU 0, as symptoms.py sends from the others.
ip netns exec rps dash -c '
    cd /sys/class/net
    for name in rroa troa rrsa trsa toba rwea twea tweb rgca; do
        for file in $name/queues/rx-*/rps_cpus; do
            echo 1 >$file
        done
    done
    echo 1 >roba/queues/rx-1/rps_cpus
    echo 1 >rwma/queues/rx-0/rps_cpus
    for rx in twma/queues/rx-*; do
        echo 1 >$rx/rps_cpus
    done
    echo 20 >rcoa/queues/rx-0/rps_cpus
    echo 21 >rcpa/queues/rx-0/rps_cpus
    echo 1 >tcoa/queues/rx-0/rps_cpus
    echo 1f >risa/queues/rx-0/rps_cpus
    echo 1 >tisa/queues/rx-0/rps_cpus
    echo 512 >rrfa/queues/rx-0/rps_flow_cnt
'
put 0 /sys/devices/system/cpu/cpu5/online

### What may stop a TX queue: a qdisc, and threads that can be kept from polling.
if [ -e $INIT_NET/lo/threaded ]; then
    ip netns exec far dash -c 'echo 1 >/sys/class/net/rtsb/threaded'
fi
ip netns exec xdp ethtool -K rtsa tso off
tc -n xdp qdisc add dev rtsa root mq

### What loses packets.
if [ -e $INIT_NET/lo/threaded ]; then
    ask "GRO on veth" "not supported|Could not change" \
        ip netns exec far ethtool -K rfrb gro on || :
    ip netns exec far ethtool -K tfrb gro off
    ip netns exec far dash -c 'echo 1 >/sys/class/net/rfrb/threaded'
    for name in rfra tfra; do
        ethtool -K $name tso off
    done
fi
if ask "tbf" "kind is unknown" \
    tc qdisc add dev rqpa root tbf rate 8bit burst 1600 limit 1000; then
    tc qdisc add dev tqpa root tbf rate 8bit burst 1600 limit 100000
fi

python3 "$GUEST/symptoms.py"

say "rules: done"
