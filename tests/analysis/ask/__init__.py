# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests that are no XDP attach."""
