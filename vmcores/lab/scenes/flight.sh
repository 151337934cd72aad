#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# flight: packets that are in queues when the kernel panics.
#
# What is in each queue stands in the log, a line each: "flight: WHERE DEVICE PACKET...",
# where a packet is LENGTH:PROTOCOL with the length that the kernel has there: of an SKB
# that a device has received, without the Ethernet header.
#
# Another scene can source this file with FLIGHT_SOURCED=1 and call the functions:
# flight_set makes what is quiet, flight_loop what is not.
set -eu
[ -n "${FLIGHT_SOURCED:-}" ] || . "$(dirname "$0")/_lib.sh"

flight() {
    python3 "$GUEST/flight.py" "$@"
}

# flight_up DEVICE...: without packets of IPv6 that nobody sent.
flight_up() {
    for flight_device in "$@"; do
        if [ -e "/proc/sys/net/ipv6/conf/$flight_device" ]; then
            put 1 "/proc/sys/net/ipv6/conf/$flight_device/disable_ipv6"
        fi
        ip link set "$flight_device" up
    done
}

# A tap that a process has open and never reads, with a ring of 8.
flight_tap() {
    module tun
    ip tuntap add dev fltap mode tap
    ip link set fltap txqueuelen 8
    tc qdisc replace dev fltap root pfifo_fast
    flight tap fltap >/dev/null
    flight_up fltap
    flight send fltap 0 60 61:88b5 62 63 64 65 66 67 68 69 70
    say "flight: tun-ring fltap 60:0x0800 61:0x88b5 62:0x0800 63:0x0800 64:0x0800 65:0x0800 66:0x0800 67:0x0800"
}

# Qdiscs that let one packet through, and then a byte a second.
flight_tbf() {
    ip link add "$1" type dummy
    flight_up "$1"
    tc qdisc replace dev "$1" root handle 10: tbf rate 8bit burst 2000 limit 100000
}

flight_qdiscs() {
    module dummy numdummies=0
    flight_tbf flfifo
    flight send flfifo 0 1500 1400 61 62:88b5
    say "flight: qdisc/bfifo flfifo 1400:0x0800 61:0x0800 62:0x88b5"

    flight_tbf flcodel
    tc qdisc add dev flcodel parent 10:1 handle 20: fq_codel
    flight send flcodel 0 1500 1400 61 62:88b5
    say "flight: qdisc/fq_codel/gso_skb flcodel 1400:0x0800"
    say "flight: qdisc/fq_codel flcodel 61:0x0800 62:0x88b5"

    flight_tbf flbands
    tc qdisc add dev flbands parent 10:1 handle 20: pfifo_fast
    flight send flbands 0 1500 1400/6 61/2 62/2:88b5 63/6 64
    say "flight: qdisc/pfifo_fast/q[0] flbands 1400:0x0800 63:0x0800"
    say "flight: qdisc/pfifo_fast/q[1] flbands 64:0x0800"
    say "flight: qdisc/pfifo_fast/q[2] flbands 61:0x0800 62:0x88b5"

    ip link add flnetem type dummy
    flight_up flnetem
    tc qdisc replace dev flnetem root netem delay 3000s
    flight send flnetem 0 60 61 62
    say "flight: qdisc/netem flnetem 3"

    ip link add flplug type dummy
    flight_up flplug
    if ask "plug" "Unknown qdisc|qdisc kind is unknown" \
        tc qdisc replace dev flplug root plug; then
        flight send flplug 0 60 61:88b5
        say "flight: qdisc/plug flplug 60:0x0800 61:0x88b5"
    fi
}

# A segment that GRO keeps for 1000 seconds, in case that more of it comes.
flight_gro() {
    ip link add flgroa type veth peer name flgrob
    flight_up flgroa flgrob
    ethtool -K flgroa gro on >/dev/null
    ip link set flgroa xdpdrv pinned $BPF/flight_pass
    put 1000000000000 $INIT_NET/flgroa/gro_flush_timeout
    say "flight: gro flgroa $(($(flight gro flgroa flgrob) - 14)):0x0800"
}

# A ring whose NAPI does not run, with SKBs and XDP frames; and a full one: the entry that
# was taken out of it is only freed with 15 others.
flight_rings() {
    ip link add flra type veth peer name flrb
    ip link add flxa type veth peer name flxb
    ip link add flfa type veth peer name flfb
    flight_up flra flrb flxa flxb flfa flfb
    # NAPI is there once a program is attached.
    for flight_device in flra flxa flfa; do
        ip link set $flight_device xdpdrv pinned $BPF/flight_pass
    done
    if ! ask "threaded NAPI" "No such file|cannot create" \
        dash -c "echo 1 >$INIT_NET/flra/threaded"; then
        return
    fi
    put 1 $INIT_NET/flfa/threaded
    tc qdisc replace dev flfb root pfifo_fast
    flight hold napi/flra- flrb
    flight hold napi/flfa- flfb
    flight send flrb 0 60 61:88b5
    # What comes to flxa is sent out of flrb: it goes into the ring of flra.
    ip link set flxa xdp off
    ip link set flxa xdpdrv pinned $BPF/flight_redirect
    python3 -c "
import sys
sys.path.insert(0, '$GUEST')
from programs import set_redirect
set_redirect('$BPF/flight_redirect', $(cat $INIT_NET/flrb/ifindex))"
    flight send flxb 0 80 81
    flight send flrb 0 62
    say "flight: veth-ring flra 46:0x0800 47:0x88b5 80 81 48:0x0800"
    flight_many=
    flight_said=
    flight_i=0
    while [ $flight_i -lt 270 ]; do
        flight_many="$flight_many $((100 + flight_i))"
        [ $flight_i -ge 255 ] || flight_said="$flight_said $((86 + flight_i)):0x0800"
        flight_i=$((flight_i + 1))
    done
    flight send flfb 0 $flight_many
    say "flight: veth-ring flfa$flight_said"
}

# CPUMAPs whose threads do not run: native XDP puts frames there, generic XDP SKBs.
flight_cpumap() {
    ip link add flca type veth peer name flcb
    flight_up flca flcb
    flight cpumap $BPF/flight_cpu1 1
    ip link set flca xdpdrv pinned $BPF/flight_cpu1
    ip link set flcb xdpdrv pinned $BPF/flight_pass
    flight hold cpumap/1/map flcb
    flight send flcb 0 70 71:88b5
    say "flight: cpumap/1 flca 70 71"
    # Not before 5.15.
    if grep -q ' cpu_map_generic_redirect$' /proc/kallsyms; then
        ip link add flda type veth peer name fldb
        flight_up flda fldb
        flight cpumap $BPF/flight_cpu2 2
        ip link set flda xdpgeneric pinned $BPF/flight_cpu2
        flight hold cpumap/2/map fldb
        flight send fldb 0 72 73:88b5
        say "flight: cpumap/2 flda 58:0x0800 59:0x88b5"
    fi
}

# flight_set: all that stays where it is.
flight_set() {
    [ "$(nproc)" -ge 4 ] || die "this scene needs 4 CPUs"
    module veth
    bpffs
    xdp load flight_pass $BPF/flight_pass
    python3 "$GUEST/programs.py" redirect $BPF/flight_redirect
    flight_tap
    flight_qdiscs
    flight_gro
    flight_rings
    flight_cpumap
    for flight_device in fltap flfifo flcodel flbands flnetem flplug flfb; do
        flight_said=$(tc -s -j qdisc show dev $flight_device | tr -d '\n')
        say "flight-tc: $flight_device $flight_said"
    done
}

# flight_loop: packets that CPU 3 sends from one end of a pair to the other, for ever. They
# are in its backlog, but for the one that it has in hand.
flight_loop() {
    ip link add flla type veth peer name fllb
    flight slow $BPF/flight_slow
    for flight_device in flla fllb; do
        flight_up $flight_device
        ip link set $flight_device xdpgeneric pinned $BPF/flight_slow
    done
    flight send flla 3 100 101 102 103:88b5 104 105
    say "flight: backlog flla,fllb 86:0x0800 87:0x0800 88:0x0800 89:0x88b5 90:0x0800 91:0x0800"
}

if [ -z "${FLIGHT_SOURCED:-}" ]; then
    flight_set
    flight_loop
fi
