#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# zoo: one of each kind of thing that the report has to get right.
set -eu
. "$(dirname "$0")/_lib.sh"

# Tunnels must not add devices of their own to each new namespace.
put 1 /proc/sys/net/core/fb_tunnels_only_for_init_net
module veth
module bonding max_bonds=0
module dummy numdummies=0
for name in bridge macvlan ipvlan 8021q tun ipip sit ip6_tunnel sch_mqprio virtio_net; do
    module "$name"
done
bpffs
put 1000 /proc/sys/net/core/rps_sock_flow_entries

### Namespaces: four with a name, one that only a process holds.
for name in pod1 pod2 pod3 rpsns; do
    ip netns add "$name"
done
hold_ns

### Programs.
xdp load zoo_nat $BPF/nat , load zoo_gen $BPF/gen , load zoo_link $BPF/link , \
    load zoo_drop $BPF/drop ret 1 , load zoo_eat37 $BPF/eat37 attach 37 , \
    load zoo_devmap $BPF/devmap attach 33
frags=false
if ask "xdp.frags" "Invalid argument" xdp load zoo_frags $BPF/frags frags; then
    frags=true
fi

# The most that native XDP allows the peer: 3506 with pages of 4K.
most=$(python3 "$GUEST/mtu_limit.py")
more=$((most + 1))

### Devices. Those of group 1 stay down, all others are set up together below.
ip -batch - <<END
# The seed's pair.
link add veth_xxx0 numrxqueues 14 numtxqueues 14 type veth peer name veth_yyy0 numrxqueues 48 numtxqueues 48
# 1/1 queues, both ends down, native XDP all the same.
link add q11a group 1 numrxqueues 1 numtxqueues 1 type veth peer name q11b group 1 numrxqueues 1 numtxqueues 1
# RX 2, TX 4; and RX 4, TX 2.
link add q24a numrxqueues 2 numtxqueues 4 type veth peer name q24b numrxqueues 2 numtxqueues 4
link add q42a numrxqueues 4 numtxqueues 2 type veth peer name q42b numrxqueues 4 numtxqueues 2
# Queues given for one side only: for this one; for the other one.
link add onea numrxqueues 3 numtxqueues 3 type veth peer name oneb
link add twoa type veth peer name twob numrxqueues 3 numtxqueues 3
# Queue counts that are changed below.
link add growna numrxqueues 8 numtxqueues 8 type veth peer name grownb numrxqueues 8 numtxqueues 8

# Peers in a named namespace, in the process's; everywhere eth0, ifindex 2.
link add to_pod1 type veth peer name eth0 index 2 netns pod1
link add to_pod2 type veth peer name eth0 index 2 netns pod2
link add to_pod3 type veth peer name eth0 index 2 group 1 netns pod3
link add to_proc type veth peer name eth0 index 2 netns $HOLDER
# One that is renamed after its move; one that moves with its XDP program.
link add renpeer type veth peer name before_move
link add xmovpeer type veth peer name xmoved

# Several altnames and an alias; an alias that is hostile (below).
link add alta type veth peer name altb
link property add dev alta altname alta_second altname alta_100_characters_long_______________________________________________________________________________x
link set dev alta alias "uplink to pod1, rack 7"

# MTU. Their names are what it is with pages of 4K.
link add m3506a mtu $most type veth peer name m3506b mtu $most
link add m3507a mtu $more type veth peer name m3507b mtu $more
link add m9000a mtu 9000 type veth peer name m9000b mtu 9000

# XDP: by netlink native, generic; native here and generic there; links of each mode,
# and one that a process holds.
link add xnata type veth peer name xnatb
link add xgena type veth peer name xgenb
link add xmixa type veth peer name xmixb
link add xlinka type veth peer name xlinkb
link add xholda type veth peer name xholdb
# Grown, and shrunk, while XDP is attached.
link add xgrowa numrxqueues 4 numtxqueues 1 type veth peer name xgrowb numrxqueues 1 numtxqueues 1
link add xshrka numrxqueues 4 numtxqueues 1 type veth peer name xshrkb numrxqueues 1 numtxqueues 1

# RPS, RFS; XPS; XPS with traffic classes.
link add rpsa numrxqueues 4 numtxqueues 4 type veth peer name rpsb numrxqueues 4 numtxqueues 4
link add xpsa numrxqueues 4 numtxqueues 4 type veth peer name xpsb numrxqueues 4 numtxqueues 4
link add mqa numrxqueues 4 numtxqueues 4 type veth peer name mqb numrxqueues 4 numtxqueues 4

# One end up and the other down; flags and an operstate; NAPI for GRO alone.
link add half_up type veth peer name half_down group 1
link add flagsa arp off allmulticast on type veth peer name flagsb promisc on multicast off
link set dev flagsb mode dormant
link add groa type veth peer name grob

# Masters.
link add br_zoo type bridge
link add brporta type veth peer name brpeer
link set dev brporta master br_zoo
link add bond_zoo type bond mode active-backup
link add bslave0 type veth peer name bpeer0
link add bslave1 type veth peer name bpeer1
link set dev bslave0 master bond_zoo
link set dev bslave1 master bond_zoo
link add bond_xdp type bond mode balance-rr
link add bxslave type veth peer name bxpeer
link set dev bxslave master bond_xdp
# Uppers.
link add lowa type veth peer name lowb
link add mv0 link lowa type macvlan mode bridge
link add vl10 link lowa type vlan id 10
# Not veth.
link add dum_xdp type dummy
link add dum_plain group 1 type dummy
END
ip -n pod1 -batch - <<END
# Ends in two named namespaces.
link add cross12 type veth peer name cross21 netns pod2
# A master in a named namespace.
link add br_pod type bridge
link set dev eth0 master br_pod
END
# Both ends in the same named namespace.
ip -n pod3 link add ina type veth peer name inb

# Names as a program, a page or a terminal would rather not have them.
odd_pair() {
    ip link add "$1" type veth peer name "$2"
}
odd_pair "q\"uo'te" '<b>bold'
odd_pair "$(printf '\033[31mred')" "$(printf 'h\303\266ker\342\230\203')"
odd_pair "$(printf 'x\377\376y')" "a,b;\$(id)"
odd_pair "=1+1|\`w\`" "$(printf 'back\\\\slash\007')"
# The kernel takes a % for the place of a number. An altname may have it.
refused "a % in a name" "Invalid argument|not a valid ifname" ip link add 'per%cent' type dummy
ip link property add dev altb altname '50%<i>"alt"' altname "$(printf 'esc\033[7mape')"
ip link set dev altb alias "$(printf 'two\nlines\tand \033[5mblink \377\\"quoted"')"

# Loaded as needed: a kernel may lack the module.
ask "tap" "No such (file or )?device|Unknown device" \
    ip tuntap add dev tap0 mode tap multi_queue || :
ask "tun" "No such (file or )?device|Unknown device" \
    ip tuntap add dev tun0 mode tun || :
ask "ipvlan" "Unknown device type" ip link add ipvl0 link xpsb type ipvlan mode l2 || :
# Addresses of 4 bytes.
ask "ipip" "Unknown device type" \
    ip link add ipip0 type ipip local 192.0.2.1 remote 192.0.2.2 || :
ask "sit" "Unknown device type" \
    ip link add sit1 group 1 type sit local 192.0.2.1 remote 192.0.2.3 || :
# And of 16.
ask "ip6tnl" "Unknown device type" \
    ip link add ip6tnl1 type ip6tnl local 2001:db8::1 remote 2001:db8::2 || :
if ask "netkit" "Unknown device type" \
    ip link add nkl3a type netkit mode l3 peer name nkl3b; then
    ip link add nkl2a type netkit mode l2 peer name nkl2b netns pod1
    ip link set dev nkl3a xdpgeneric pinned $BPF/gen
fi

# The NIC goes up with all others.
find_nic

# A veth can only be set up once its peer exists, so set up all now.
ip -batch - <<END
link set dev before_move netns pod2
link set group default up
END
ip -n pod2 -batch - <<END
link set dev before_move name renamed
link set group default up
END
ip -n pod1 link set group default up
ip -n pod3 link set group default up
nsenter --net --target "$HOLDER" ip link set group default up

### Queues of the kinds that only ethtool can change.
if ask "ethtool -L on veth" "not supported" ethtool -L growna rx 3 tx 5; then
    ethtool -L grownb rx 6 tx 2
    ethtool -L xgrowa rx 2
fi
ask "GRO on veth" "not supported|Could not change" ethtool -K groa gro on || :
for queues in veth_xxx0:14:14 veth_yyy0:48:48 q11a:1:1 q24a:2:4 q24b:2:4 q42a:4:2 q42b:4:2; do
    name=${queues%%:*} numbers=${queues#*:}
    for direction in rx tx; do
        number=${numbers%:*} numbers=${numbers#*:}
        set -- "$INIT_NET/$name/queues/$direction"-*
        [ $# = "$number" ] || die "$name has $# $direction queues, not $number"
    done
done

### XDP.
refused "native XDP on the seed's veth_xxx0" "veth: XDP expects number of rx queues not less" \
    ip link set dev veth_xxx0 xdp pinned $BPF/nat
refused "native XDP where the peer's MTU is $more" "veth: Peer MTU is too large to set XDP" \
    ip link set dev m3507a xdpdrv pinned $BPF/nat
ip -batch - <<END
link set dev veth_xxx0 xdpgeneric pinned $BPF/gen
link set dev q11a xdpdrv pinned $BPF/nat
link set dev q42a xdp pinned $BPF/eat37
link set dev xnata xdpdrv pinned $BPF/nat
link set dev xgena xdpgeneric pinned $BPF/gen
link set dev xmixa xdpdrv pinned $BPF/nat
link set dev xmixb xdpgeneric pinned $BPF/drop
link set dev m3506a xdpdrv pinned $BPF/nat
link set dev m3507a xdpgeneric pinned $BPF/gen
link set dev dum_xdp xdp pinned $BPF/gen
link set dev brporta xdpdrv pinned $BPF/nat
link set dev bslave0 xdpdrv pinned $BPF/nat
link set dev bslave1 xdpgeneric pinned $BPF/gen
link set dev mv0 xdpgeneric pinned $BPF/gen
link set dev xmoved xdpdrv pinned $BPF/nat
link set dev xmoved netns pod2
link set dev xgrowa xdpdrv pinned $BPF/drop
link set dev xshrka xdpdrv pinned $BPF/drop
END
ip -n pod2 link set dev xmoved up
if $frags; then
    ip link set dev m9000a xdpdrv pinned $BPF/frags
    ip link set dev m9000b xdpgeneric pinned $BPF/frags
fi
if [ -d $INIT_NET/tap0 ]; then
    ip link set dev tap0 xdpdrv pinned $BPF/nat
fi
# The bond's slave gets the program, and its xdp_state stays empty.
ask "native XDP on a bond" "not support" ip link set dev bond_xdp xdpdrv pinned $BPF/nat || :
xdp link $BPF/link xlinka driver $BPF/link_a , link $BPF/link xlinkb generic $BPF/link_b , \
    link $BPF/link xholda default hold , link $BPF/link xholdb default $BPF/link_hb , \
    in pod1 link $BPF/link cross12 driver $BPF/link_12 , \
    in "$HOLDER" link $BPF/gen eth0 generic hold
ip -n pod3 link set dev eth0 xdpgeneric pinned $BPF/gen
ip -n pod2 link set dev eth0 xdpdrv pinned $BPF/nat

# Queues that change under a program. xgrowa: 2 -> 4, the new ones may lack it; xshrka:
# 4 -> 2, those that go may keep it.
ask "ethtool -L under XDP: more" "not supported" ethtool -L xgrowa rx 4 || :
ask "ethtool -L under XDP: less" "not supported" ethtool -L xshrka rx 2 || :
keep xgrowa xshrka

### RPS, RFS, XPS.
put f $INIT_NET/veth_xxx0/queues/rx-*/rps_cpus
queues=$INIT_NET/rpsa/queues
put f "$queues/rx-0/rps_cpus"
put 5 "$queues/rx-2/rps_cpus"
put 300 "$queues/rx-0/rps_flow_cnt"
put 1 "$queues/rx-1/rps_flow_cnt"
put 4096 "$queues/rx-2/rps_flow_cnt"
put 2 $INIT_NET/rpsb/queues/rx-3/rps_cpus
put 8 $INIT_NET/lo/queues/rx-0/rps_cpus
put 3 "$INIT_NET/$nic/queues/rx-0/rps_cpus"
put 64 "$INIT_NET/$nic/queues/rx-0/rps_flow_cnt"
put 6 $INIT_NET/br_zoo/queues/rx-0/rps_cpus
# A mask that is set and taken back.
put f $INIT_NET/rpsb/queues/rx-0/rps_cpus
put 0 $INIT_NET/rpsb/queues/rx-0/rps_cpus
ip netns exec pod1 dash -c 'echo a >/sys/class/net/eth0/queues/rx-0/rps_cpus'
queues=$INIT_NET/xpsa/queues
put 1 "$queues/tx-0/xps_cpus"
put 2 "$queues/tx-1/xps_cpus"
put c "$queues/tx-2/xps_cpus"
put 1 "$queues/tx-0/xps_rxqs"
put 6 "$queues/tx-1/xps_rxqs"
put 9 $INIT_NET/xpsb/queues/tx-3/xps_rxqs
if ask "mqprio" "qdisc kind is unknown" tc qdisc add dev mqa root mqprio num_tc 2 \
    map 0 0 0 0 1 1 1 1 0 0 0 0 1 1 1 1 queues 2@0 2@2 hw 0; then
    queues=$INIT_NET/mqa/queues
    put 3 "$queues/tx-0/xps_cpus"
    put c "$queues/tx-1/xps_cpus"
    put 5 "$queues/tx-2/xps_cpus"
    put a "$queues/tx-3/xps_cpus"
    put 5 "$queues/tx-2/xps_rxqs"
fi

# For later queues, in this namespace alone.
mask=/proc/sys/net/core/rps_default_mask
if [ -e $mask ]; then
    in_ns rpsns dash -c "echo 6 >$mask"
else
    say "not on this kernel: net.core.rps_default_mask: no such file"
fi
ip -n rpsns link add rdefa type veth peer name rdefb
ip -n rpsns link set group default up

# Words in packets and in a process, which must not get into a slice of a dump.
ip link set dev lo up
python3 "$GUEST/marker.py" || die "the words were not put into packets"

say "zoo: done"
