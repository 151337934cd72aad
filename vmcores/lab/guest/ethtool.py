# SPDX-License-Identifier: LGPL-2.1-or-later
"""Features, channels and statistics of a device, by the SIOCETHTOOL ioctl."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

__all__ = ("channels", "features", "set_channels", "statistics", "want_features")

SIOCETHTOOL = 0x8946
ETHTOOL_GSTRINGS = 0x1B
ETHTOOL_GSTATS = 0x1D
ETHTOOL_GSSET_INFO = 0x37
ETHTOOL_GFEATURES = 0x3A
ETHTOOL_SFEATURES = 0x3B
# More than there are: the kernel fills in its own number.
FEATURE_WORDS = 3
ETHTOOL_GCHANNELS = 0x3C
ETHTOOL_SCHANNELS = 0x3D
ETH_SS_STATS = 1
ETH_GSTRING_LEN = 32


def _ask(name: str, request: bytes) -> bytes:
    buffer = ctypes.create_string_buffer(request, len(request))
    ifreq = os.fsencode(name).ljust(16, b"\0") + struct.pack(
        "<Q16x", ctypes.addressof(buffer)
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            fcntl.ioctl(s, SIOCETHTOOL, ifreq)
        except OSError:
            return b""
    return buffer.raw


def channels(name: str) -> bytes:
    """Return struct ethtool_channels, or nothing if the device has none."""
    return _ask(name, struct.pack("<I32x", ETHTOOL_GCHANNELS))


def set_channels(name: str, rx: int, tx: int) -> bool:
    """Set the numbers of queues, and return whether the kernel did."""
    # Only rx and tx of struct ethtool_channels are read.
    request = struct.pack("<9I", ETHTOOL_SCHANNELS, 0, 0, 0, 0, rx, tx, 0, 0)
    return bool(_ask(name, request))


def features(name: str) -> bytes:
    """Return struct ethtool_gfeatures."""
    request = struct.pack("<II", ETHTOOL_GFEATURES, FEATURE_WORDS)
    return _ask(name, request + bytes(16 * FEATURE_WORDS))


def want_features(name: str, before: bytes) -> None:
    """Request the features that were requested before.

    The first generic program of a device switches LRO off for good (dev_disable_lro()).
    """
    now = features(name)
    (words,) = struct.unpack_from("<I", before, 4)
    request = struct.pack("<II", ETHTOOL_SFEATURES, words)
    for offset in range(8, 8 + 16 * words, 16):
        # available, requested, active, never_changed
        (old,) = struct.unpack_from("<I", before, offset + 4)
        (new,) = struct.unpack_from("<I", now, offset + 4)
        request += struct.pack("<II", old ^ new, old)
    _ask(name, request)


def statistics(name: str) -> dict[str, int]:
    """Return what ``ethtool -S`` counts, nothing if the device counts nothing."""
    info = _ask(name, struct.pack("<IIQI", ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_STATS, 0))
    count = struct.unpack_from("<I", info, 16)[0] if info else 0
    if not count:
        return {}
    head = struct.pack("<III", ETHTOOL_GSTRINGS, ETH_SS_STATS, count)
    strings = _ask(name, head + bytes(ETH_GSTRING_LEN * count))
    head = struct.pack("<II", ETHTOOL_GSTATS, count)
    values = _ask(name, head + bytes(8 * count))
    found = {}
    for number in range(count if strings and values else 0):
        start = 12 + ETH_GSTRING_LEN * number
        text = strings[start : start + ETH_GSTRING_LEN].split(b"\0")[0].decode()
        (found[text],) = struct.unpack_from("<Q", values, 8 + 8 * number)
    return found
