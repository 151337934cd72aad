# SPDX-License-Identifier: LGPL-2.1-or-later
# What the scenes share. Source it with `.`; the scene itself does `set -eu`.

SCENES=$(cd "$(dirname "$0")" && pwd)
GUEST=${SCENES%/*}/guest
RUN=/run/lab
# The pins. Not below /sys: `ip -n` puts another sysfs over it, which has no bpffs.
BPF=$RUN/bpf
# shellcheck disable=SC2034 # for the scenes
INIT_NET=/sys/class/net

mkdir -p "$RUN" "$BPF" /run/netns

# say WORD...: write to the log of the scene, which the truth contains.
say() {
    echo "scene: $*"
    echo "$*" >>"$RUN/scene.log"
}

die() {
    echo "scene: failed: $*" >&2
    exit 1
}

# ask WHAT PATTERN COMMAND...: a step that some kernels cannot do. It fails, and logs that,
# if the command fails with a message that matches PATTERN (grep -E). Any other failure ends
# the scene. Use it in an `if`, or with `|| :`.
ask() {
    ask_what=$1 ask_pattern=$2
    shift 2
    if "$@" >"$RUN/ask.out" 2>&1; then
        return 0
    fi
    if grep -qE "$ask_pattern" "$RUN/ask.out"; then
        say "not on this kernel: $ask_what: $(head -n 1 "$RUN/ask.out")"
        return 1
    fi
    die "$ask_what: $(cat "$RUN/ask.out")"
}

# refused WHAT PATTERN COMMAND...: a step that must fail, with that message.
refused() {
    refused_what=$1 refused_pattern=$2
    shift 2
    if "$@" >"$RUN/ask.out" 2>&1; then
        die "$refused_what: the kernel took it"
    fi
    grep -qE "$refused_pattern" "$RUN/ask.out" || die "$refused_what: $(cat "$RUN/ask.out")"
    say "refused, as it must be: $refused_what: $(head -n 1 "$RUN/ask.out")"
}

# module NAME [PARAMETER...]: load a module. It may be built in, or not exist: the step that
# needs it uses ask.
module() {
    modprobe -q "$@" || :
}

# put VALUE FILE...: write it into each file of sysfs or procfs.
put() {
    put_value=$1
    shift
    for put_file in "$@"; do
        echo "$put_value" >"$put_file" || die "cannot write $put_value to $put_file"
    done
}

# in_ns NAME COMMAND...: in a namespace of `ip netns`, without a new mount namespace.
in_ns() {
    in_ns_name=$1
    shift
    nsenter --net="/run/netns/$in_ns_name" "$@"
}

# hold_ns: make a namespace that only a process holds, and put its pid into $HOLDER.
hold_ns() {
    setsid unshare --net sleep infinity </dev/null >/dev/null 2>&1 &
    HOLDER=$!
    hold_tries=0
    while [ "$(readlink "/proc/$HOLDER/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do
        hold_tries=$((hold_tries + 1))
        [ "$hold_tries" -lt 600 ] || die "unshare --net did not start"
        sleep 0.1
    done
}

# find_nic: put the name of the virtio-net device into $nic.
find_nic() {
    for find_driver in "$INIT_NET"/*/device/driver; do
        if [ "$(basename "$(readlink "$find_driver")")" = virtio_net ]; then
            nic=${find_driver#"$INIT_NET"/} nic=${nic%%/*}
            return
        fi
    done
    die "this machine has no virtio-net device"
}

xdp() {
    python3 "$GUEST/xdp.py" "$@"
}

# bpffs: mount a BPF file system at $BPF.
bpffs() {
    if ! mountpoint -q "$BPF"; then
        mount -t bpf bpf "$BPF" || die "cannot mount a BPF file system"
    fi
}

# keep DEVICE...: tell the prober to replace no program there.
keep() {
    for keep_device in "$@"; do
        echo "$(stat -L -c %i /proc/self/ns/net) $(cat "$INIT_NET/$keep_device/ifindex")"
    done >>"$RUN/keep"
}
