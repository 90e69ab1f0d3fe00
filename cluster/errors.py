"""What can go wrong between us and the cluster; apart from session.py, so that catching it needs no Ray."""

from __future__ import annotations


class ClusterError(Exception):
    """Ray cannot be reached or started; the message says what to do."""
