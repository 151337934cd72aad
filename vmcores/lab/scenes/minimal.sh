#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One veth pair, both ends in the same namespace: the smallest scene.
set -e
modprobe veth
ip link add veth0 type veth peer name veth1
ip link set veth0 up
ip link set veth1 up
