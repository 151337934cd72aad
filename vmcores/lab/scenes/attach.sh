#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# attach: what decides an XDP attach. All programs return XDP_PASS.
set -eu
. "$(dirname "$0")/_lib.sh"

# No packets of the kernel's own, no devices of their own for the tunnels.
put 1 /proc/sys/net/ipv6/conf/default/disable_ipv6
put 1 /proc/sys/net/core/fb_tunnels_only_for_init_net
module veth
module bonding max_bonds=0
module dummy numdummies=0
module ifb numifbs=0
for name in bridge macvlan macvtap ipvlan 8021q vrf team team_mode_roundrobin tun ip_gre \
    vxlan geneve macsec nlmon; do
    module "$name"
done
bpffs
for name in nsa nsb; do
    ip netns add "$name"
done
hold_ns
unknown="Unknown device type|No such (file or )?device|Operation not supported"

xdp load at_plain $BPF/plain , load at_gen $BPF/gen , load at_link $BPF/link , \
    load at_eat37 $BPF/eat37 attach 37 , load at_devmap $BPF/devmap attach 33
# libxdp's way to have several programs on a device.
python3 "$GUEST/dispatcher.py" $BPF/dispatcher $BPF/at_ext
frags=false
if ask "xdp.frags" "Invalid argument" xdp load at_frags $BPF/frags frags; then
    frags=true
fi

### The most that native XDP allows the peer's MTU, as the kernel says it.
# limit PROGRAM: in $limit.
limit() {
    ip link set dev probe_a xdpdrv pinned "$BPF/$1"
    limit=$(ip -d link show dev probe_b | sed -n 's/.* maxmtu \([0-9]*\).*/\1/p')
    ip link set dev probe_a xdpdrv off
    say "native XDP with the program $1 allows the peer an MTU of $limit"
}
ip link add probe_a type veth peer name probe_b
limit plain
most=$limit most_frags=
if $frags; then
    limit frags
    most_frags=$limit
fi

### Devices. Those of group 1 stay down.
ip -batch - <<END
# Queues: fewer RX than the peer's TX, as many, more; of one side only.
link add q13a numrxqueues 1 numtxqueues 1 type veth peer name q13b numrxqueues 3 numtxqueues 3
link add q33a numrxqueues 3 numtxqueues 3 type veth peer name q33b numrxqueues 3 numtxqueues 3
link add q42a numrxqueues 4 numtxqueues 4 type veth peer name q42b numrxqueues 2 numtxqueues 2
link add q14a numrxqueues 4 numtxqueues 1 type veth peer name q14b numrxqueues 1 numtxqueues 4
link add q1sa numrxqueues 2 numtxqueues 2 type veth peer name q1sb
link add qset_a numrxqueues 8 numtxqueues 8 type veth peer name qset_b numrxqueues 8 numtxqueues 8
link add qeq_a numrxqueues 8 numtxqueues 8 type veth peer name qeq_b numrxqueues 8 numtxqueues 8
link add qgrow numrxqueues 4 numtxqueues 4 type veth peer name qgrow_p numrxqueues 1 numtxqueues 1
link add qshrink numrxqueues 4 numtxqueues 4 type veth peer name qshrink_p numrxqueues 1 numtxqueues 1
# MTU of the peer.
link add mtu0a type veth peer name mtu0b mtu $most
link add mtu1a type veth peer name mtu1b mtu $((most + 1))
link add mtux_a mtu 9000 type veth peer name mtux_b
link add mtuqa numrxqueues 1 numtxqueues 1 type veth peer name mtuqb mtu 9000 numrxqueues 2 numtxqueues 2
link add full_a type veth peer name full_b
link add left_a type veth peer name left_b
link add stale_a type veth peer name stale_b
link add stalf_a type veth peer name stalf_b
# Down: the device, the peer, both.
link add down_a group 1 type veth peer name down_b
link add downp_a type veth peer name downp_b group 1
link add downb_a group 1 type veth peer name downb_b group 1
# Elsewhere; the same names twice.
link add to_nsa type veth peer name eth0 netns nsa
link add to_nsb type veth peer name eth0 netns nsb
link add to_proc type veth peer name eth0 netns $HOLDER
# What is attached by netlink, by link, in every mode.
link add nat_a type veth peer name nat_b
link add gen_a type veth peer name gen_b
link add fra_a type veth peer name fra_b
link add e37_a type veth peer name e37_b
link add ldef_a type veth peer name ldef_b
link add ldrv_a type veth peer name ldrv_b
link add lgen_a type veth peer name lgen_b
link add lfra_a type veth peer name lfra_b
link add lmove type veth peer name lmove_p
link add dis_a type veth peer name dis_b
link add ldis_a type veth peer name ldis_b
# Lowers, for uppers with and without a program.
link add low_mv type veth peer name low_mv_p
link add low_vl type veth peer name low_vl_p
link add low_br type veth peer name low_br_p
link add low_two type veth peer name low_two_p
link add low_own type veth peer name low_own_p
link add low_late type veth peer name low_late_p
link add low_link type veth peer name low_link_p
link add low_ns type veth peer name low_ns_p
link add low_ipv type veth peer name low_ipv_p
link add low_vrf type veth peer name low_vrf_p
link add low_team type veth peer name low_team_p
link add low_sec type veth peer name low_sec_p
link add mv1 link low_mv type macvlan mode bridge
link add mv2 link low_mv type macvlan mode bridge
link add vl1 link low_vl type vlan id 1
link add vl2 link low_vl type vlan id 2
link add br1 type bridge
link set dev low_br master br1
link add br2 type bridge
link add vl_two link low_two type vlan id 3
link add mv_two link vl_two type macvlan mode bridge
link add mv_own link low_own type macvlan mode private
link add vl_late link low_late type vlan id 4
link add mv_link link low_link type macvlan mode bridge
link add mv_ns link low_ns netns nsa type macvlan mode bridge
# Without a driver of their own for XDP.
link add dum0 type dummy
link add dum1 type dummy
link add dum2 group 1 type dummy
link add dum_l type dummy
END
# Kinds that a kernel may lack.
for line in "ifb0 type ifb" "vrf0 type vrf table 10" "team0 type team" "gre1 type gre local 192.0.2.1 remote 192.0.2.2" \
    "gretap1 type gretap local 192.0.2.1 remote 192.0.2.3" "nlmon0 type nlmon" \
    "vxlan0 type vxlan id 7 dstport 4789" "geneve0 type geneve id 7 remote 192.0.2.2" \
    "ipv0 link low_ipv type ipvlan mode l2" "macsec0 link low_sec type macsec" "mvtap0 link dum1 type macvtap" \
    "nk2a type netkit mode l2 peer name nk2b" "nk3a type netkit mode l3 peer name nk3b" \
    "nkga type netkit mode l2 peer name nkgb"; do
    # shellcheck disable=SC2086 # words
    ask "${line##*type }" "$unknown" ip link add $line || :
done
# The fallback devices of the tunnels have no address either.
for name in gretap0 erspan0; do
    [ ! -d "$INIT_NET/$name" ] || ip link set dev "$name" group 1
done
ask "tap" "$unknown" ip tuntap add dev tap0 mode tap multi_queue || :
ask "tap" "$unknown" ip tuntap add dev tap1 mode tap || :
ask "tun" "$unknown" ip tuntap add dev tun0 mode tun || :
for pair in vrf0:low_vrf team0:low_team; do
    [ ! -d "$INIT_NET/${pair%:*}" ] || ip link set dev "${pair#*:}" master "${pair%:*}"
done

### Bonds: NAME MODE; each slave is sNAME, its peer pNAME.
for bond in rr:balance-rr ab:active-backup xor:balance-xor bc:broadcast ad:802.3ad tlb:balance-tlb alb:balance-alb \
    few:balance-rr sgen:active-backup smtu:balance-rr mix:balance-rr nat:active-backup \
    link:balance-xor gen:balance-rr algen:balance-alb fra:balance-rr up:balance-rr; do
    echo "link add bo_${bond%:*} type bond mode ${bond#*:}"
    case ${bond%:*} in
    few) echo "link add s_few numrxqueues 1 numtxqueues 1 type veth peer name p_few numrxqueues 3 numtxqueues 3" ;;
    smtu | fra) echo "link add s_${bond%:*} type veth peer name p_${bond%:*} mtu 9000" ;;
    *) echo "link add s_${bond%:*} type veth peer name p_${bond%:*}" ;;
    esac
    [ "${bond%:*}" = sgen ] || echo "link set dev s_${bond%:*} master bo_${bond%:*}"
done | ip -batch -
ip link set dev s_sgen xdpgeneric pinned $BPF/gen
ip -batch - <<END
link set dev s_sgen master bo_sgen
# The first slave takes the program, the second does not.
link add s_mix2 numrxqueues 1 numtxqueues 1 type veth peer name p_mix2 numrxqueues 2 numtxqueues 2
link set dev s_mix2 master bo_mix
link add s_rr2 type veth peer name p_rr2
link set dev s_rr2 master bo_rr
link add bo_dum type bond mode balance-rr
link add s_dum type dummy
link set dev s_dum master bo_dum
# A bond has no address before its first slave, and cannot be up.
link add bo_none group 1 type bond mode balance-rr
link add bo_nonep group 1 type bond mode active-backup
link add bo_tlbn group 1 type bond mode balance-tlb
link add vl_bond link bo_up type vlan id 5
END
for mode in balance-xor 802.3ad; do
    ask "$mode with vlan+srcmac" "[Ii]nvalid|No such|argument" \
        ip link add "bo_v$mode" group 1 type bond mode "$mode" xmit_hash_policy vlan+srcmac || :
done

### The NIC: an MTU one above what native XDP takes, found by trying.
find_nic
low=1500 high=9000 why=
while [ $((high - low)) -gt 1 ]; do
    middle=$(((low + high) / 2))
    ip link set dev "$nic" mtu $middle
    if ip link set dev "$nic" xdpdrv pinned $BPF/plain 2>"$RUN/ask.out"; then
        ip link set dev "$nic" xdpdrv off
        low=$middle
    else
        high=$middle why=$(head -n 1 "$RUN/ask.out")
    fi
done
say "$nic takes native XDP up to an MTU of $low, then: $why"
ip link set dev "$nic" mtu $high

ip link set group default up
for name in nsa nsb; do
    ip -n "$name" link set group default up
    ip -n "$name" link set lo up
done
nsenter --net --target "$HOLDER" ip link set group default up

### Queues that ethtool sets.
if ask "ethtool -L on veth" "not supported" ethtool -L qset_a rx 2 tx 6; then
    ethtool -L qset_b rx 5 tx 3
    ethtool -L qeq_a rx 3 tx 2
    ethtool -L qeq_b rx 2 tx 3
    ethtool -L qgrow rx 2
fi

### XDP.
ip -batch - <<END
link set dev nat_a xdpdrv pinned $BPF/plain
link set dev gen_a xdpgeneric pinned $BPF/gen
link set dev gen_b xdpgeneric pinned $BPF/plain
link set dev e37_a xdp pinned $BPF/eat37
link set dev e37_b xdpgeneric pinned $BPF/eat37
link set dev dis_a xdpdrv pinned $BPF/dispatcher
link set dev dis_b xdpgeneric pinned $BPF/dispatcher
link set dev q42a xdpdrv pinned $BPF/plain
link set dev q13a xdpgeneric pinned $BPF/gen
link set dev qgrow xdpdrv pinned $BPF/plain
link set dev qshrink xdpdrv pinned $BPF/plain
link set dev mtu0a xdpdrv pinned $BPF/plain
link set dev mtu1b xdpdrv pinned $BPF/plain
link set dev down_a xdpdrv pinned $BPF/plain
link set dev downp_a xdpdrv pinned $BPF/plain
link set dev downb_a xdpdrv pinned $BPF/plain
link set dev downb_b xdpgeneric pinned $BPF/gen
link set dev to_nsb xdpdrv pinned $BPF/plain
link set dev mv1 xdpgeneric pinned $BPF/gen
link set dev vl1 xdpgeneric pinned $BPF/gen
link set dev br1 xdpgeneric pinned $BPF/gen
link set dev mv_two xdpgeneric pinned $BPF/gen
link set dev low_own xdpdrv pinned $BPF/plain
# The lower first, then the upper: no way back for the lower.
link set dev low_late xdpdrv pinned $BPF/plain
link set dev vl_late xdpgeneric pinned $BPF/gen
link set dev dum0 xdpgeneric pinned $BPF/gen
link set dev bo_gen xdpgeneric pinned $BPF/gen
link set dev bo_algen xdpgeneric pinned $BPF/gen
link set dev vl_bond xdpgeneric pinned $BPF/gen
END
ip -n nsa -batch - <<END
link set dev eth0 xdpdrv pinned $BPF/plain
link set dev mv_ns xdpgeneric pinned $BPF/gen
link set dev lo xdpgeneric pinned $BPF/gen
END
for pair in vrf0:generic ipv0:generic team0:generic nkga:generic tap0:drv tun0:generic gre1:generic vxlan0:generic; do
    [ ! -d "$INIT_NET/${pair%:*}" ] ||
        ip link set dev "${pair%:*}" "xdp${pair#*:}" pinned $BPF/gen
done
for name in bo_nat bo_nonep; do
    ask "native XDP on a bond" "not support" ip link set dev $name xdpdrv pinned $BPF/plain || :
done
xdp link $BPF/link ldef_a default $BPF/l_def , link $BPF/link ldef_b default hold , \
    link $BPF/link ldrv_a driver $BPF/l_drv , link $BPF/link ldrv_b driver hold , \
    link $BPF/link lgen_a generic $BPF/l_gen , link $BPF/link lgen_b generic hold , \
    link $BPF/link dum_l default $BPF/l_dum , link $BPF/link mv_link generic $BPF/l_mv , \
    link $BPF/dispatcher ldis_a driver $BPF/l_dis , \
    link $BPF/eat37 downp_b driver $BPF/l_down , link $BPF/link lmove driver $BPF/l_move , \
    in nsb link $BPF/link eth0 driver hold , in "$HOLDER" link $BPF/link eth0 generic hold
# A link stays on a device that moves.
ip link set dev lmove netns nsb
ip -n nsb link set dev lmove up
xdp in nsb moved lmove $BPF/l_move
ask "a native link on a bond" "not supported" xdp link $BPF/link bo_link driver $BPF/l_bond || :
if $frags; then
    ip -batch - <<END
link set dev fra_a xdpdrv pinned $BPF/frags
link set dev fra_b xdpgeneric pinned $BPF/frags
link set dev bo_fra xdpdrv pinned $BPF/frags
# The largest MTU there is: with the program on, and left over after it.
link set dev full_a xdpdrv pinned $BPF/frags
link set dev full_b mtu $most_frags
link set dev left_a xdpdrv pinned $BPF/frags
link set dev left_b mtu $most_frags
link set dev left_a xdpdrv off
# The limit of the program before.
link set dev stalf_a xdpdrv pinned $BPF/plain
link set dev stale_a xdpdrv pinned $BPF/frags
END
    ip -force -batch - <<END
link set dev stalf_a xdpdrv pinned $BPF/frags
link set dev stale_a xdpdrv pinned $BPF/plain
END
    ask "an MTU that only the program before allowed" "greater than device maximum" \
        ip link set dev stale_b mtu 9000 || :
    xdp link $BPF/frags lfra_a driver $BPF/l_fra , link $BPF/frags lfra_b generic $BPF/l_frb
fi
# Queues that change under a program.
ask "ethtool -L under XDP: more" "not supported" ethtool -L qgrow rx 4 || :
ask "ethtool -L under XDP: less" "not supported" ethtool -L qshrink rx 2 || :
keep qgrow qshrink

say "attach: done"
