#!/bin/dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# asked: the devices of attach, for the asker. It moves devices to other namespaces and
# back, which costs them their addresses, so that no truth is compared here.
. "$(dirname "$0")/attach.sh"
