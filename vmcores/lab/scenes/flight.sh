#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# flight: packets that are in queues when the kernel panics.
#
# What is in each queue stands in the log, a line each: "flight: WHERE DEVICE PACKET...",
# where a packet is LENGTH:PROTOCOL with the length that the kernel has there: of an SKB
# that a device has received, without the Ethernet header. An XDP frame has no protocol.
# A "?" marks the packet for which a thread was to run once: it may not have come to it.
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
        echo "link set $flight_device up"
    done | ip -batch -
}

# flight_set: all that stays where it is.
flight_set() {
    [ "$(nproc)" -ge 4 ] || die "this scene needs 4 CPUs"
    module veth
    module tun
    module dummy numdummies=0
    bpffs
    xdp load flight_pass $BPF/flight_pass
    python3 "$GUEST/programs.py" redirect $BPF/flight_redirect
    ip -batch - <<END
tuntap add dev fltap mode tap
link set fltap txqueuelen 8
link add flfifo type dummy
link add flcodel type dummy
link add flbands type dummy
link add flnetem type dummy
link add flplug type dummy
link add flgroa type veth peer name flgrob
link add flra type veth peer name flrb
link add flxa type veth peer name flxb
link add flfa type veth peer name flfb
link add flca type veth peer name flcb
link add flda type veth peer name fldb
END
    # The tap has a carrier once a process has it open.
    flight tap fltap , cpumap $BPF/flight_cpu1 1 , cpumap $BPF/flight_cpu2 2 , \
        slow $BPF/flight_slow , redirect $BPF/flight_redirect flrb
    flight_up fltap flfifo flcodel flbands flnetem flplug flgroa flgrob flra flrb flxa \
        flxb flfa flfb flca flcb flda fldb

    # A tbf lets one big packet through, and then a byte a second.
    tc -batch - <<END
qdisc replace dev fltap root pfifo_fast
qdisc replace dev flfifo root handle 10: tbf rate 8bit burst 2000 limit 100000
qdisc replace dev flcodel root handle 10: tbf rate 8bit burst 2000 limit 100000
qdisc add dev flcodel parent 10:1 handle 20: fq_codel
qdisc replace dev flbands root handle 10: tbf rate 8bit burst 2000 limit 100000
qdisc add dev flbands parent 10:1 handle 20: pfifo_fast
qdisc replace dev flnetem root netem delay 3000s
qdisc replace dev flplug root plug
qdisc replace dev flfb root pfifo_fast
END
    ip -batch - <<END
link set flgroa xdpdrv pinned $BPF/flight_pass
link set flra xdpdrv pinned $BPF/flight_pass
link set flfa xdpdrv pinned $BPF/flight_pass
link set flxa xdpdrv pinned $BPF/flight_redirect
link set flca xdpdrv pinned $BPF/flight_cpu1
link set flda xdpgeneric pinned $BPF/flight_cpu2
link set flcb xdpdrv pinned $BPF/flight_pass
END
    # What GRO keeps is not passed on for 1000 seconds.
    ethtool -K flgroa gro on >/dev/null
    put 1000000000000 $INIT_NET/flgroa/gro_flush_timeout

    flight send fltap 0 60 61:88b5 62 63 64 65 66 67 68 69 70 , \
        send flfifo 0 1500 1400 61 62:88b5 , \
        send flcodel 0 1500 1400 61 62:88b5 , \
        send flbands 0 1500 1400/6 61/2 62/2:88b5 63/6 64 , \
        send flnetem 0 60 61 62 , \
        send flplug 0 60 61:88b5 , \
        hold cpumap/1/map flcb , send flcb 0 70 71:88b5 , \
        gro flgroa flgrob
    say "flight: tun-ring fltap 60:0x0800 61:0x88b5 62:0x0800 63:0x0800 64:0x0800 65:0x0800 66:0x0800 67:0x0800"
    say "flight: qdisc/bfifo flfifo 1400:0x0800 61:0x0800 62:0x88b5"
    say "flight: qdisc/fq_codel/gso_skb flcodel 1400:0x0800"
    say "flight: qdisc/fq_codel flcodel 61:0x0800 62:0x88b5"
    say "flight: qdisc/pfifo_fast/q[0] flbands 1400:0x0800 63:0x0800"
    say "flight: qdisc/pfifo_fast/q[1] flbands 64:0x0800"
    say "flight: qdisc/pfifo_fast/q[2] flbands 61:0x0800 62:0x88b5"
    say "flight: qdisc/netem flnetem 3"
    say "flight: qdisc/plug flplug 60:0x0800 61:0x88b5"
    say "flight: cpumap/1 flca ?600 70 71"
    say "flight: gro flgroa 140:0x0800"
    # Not before 5.15.
    if grep -q ' cpu_map_generic_redirect$' /proc/kallsyms; then
        flight hold cpumap/2/map fldb , send fldb 0 72 73:88b5
        say "flight: cpumap/2 flda ?586:0x0800 58:0x0800 59:0x88b5"
    fi
    # Rings whose NAPI does not run. NAPI is there once a program is attached.
    if ask "threaded NAPI" "No such file|cannot create" \
        dash -c "echo 1 >$INIT_NET/flra/threaded"; then
        put 1 $INIT_NET/flfa/threaded
        flight_rings
    fi
    for flight_device in fltap flfifo flcodel flbands flnetem flplug flfb; do
        flight_said=$(tc -s -j qdisc show dev $flight_device | tr -d '\n')
        say "flight-tc: $flight_device $flight_said"
    done
}

# SKBs and XDP frames in one ring; and a ring that is full: the entry that was taken out of
# it is only freed with 15 others.
flight_rings() {
    flight_many=
    flight_said=
    flight_i=0
    while [ $flight_i -lt 270 ]; do
        flight_many="$flight_many $((100 + flight_i))"
        [ $flight_i -ge 255 ] || flight_said="$flight_said $((86 + flight_i)):0x0800"
        flight_i=$((flight_i + 1))
    done
    # What comes to flxa is sent out of flrb: it goes into the ring of flra.
    # shellcheck disable=SC2086 # words
    flight hold napi/flra- flrb , hold napi/flfa- flfb , \
        send flrb 0 60 61:88b5 , send flxb 0 80 81 , send flrb 0 62 , \
        send flfb 0 $flight_many
    say "flight: veth-ring flra ?586:0x0800 46:0x0800 47:0x88b5 80 81 48:0x0800"
    say "flight: veth-ring flfa ?586:0x0800$flight_said"
}

# flight_loop: packets that CPU 3 sends from one end of a pair to the other, for ever. They
# are in its backlog, but for the one that it has in hand.
flight_loop() {
    ip link add flla type veth peer name fllb
    flight_up flla fllb
    ip link set flla xdpgeneric pinned $BPF/flight_slow
    ip link set fllb xdpgeneric pinned $BPF/flight_slow
    flight send flla 3 100 101 102 103:88b5 104 105
    say "flight: backlog flla,fllb 86:0x0800 87:0x0800 88:0x0800 89:0x88b5 90:0x0800 91:0x0800"
}

if [ -z "${FLIGHT_SOURCED:-}" ]; then
    flight_set
    flight_loop
fi
