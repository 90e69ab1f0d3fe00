"""How soon a cluster gives up a node that does not answer.

Ray notices a killed node at once, because its connections close. A node whose link is cut closes nothing: with Ray's
own settings a run stood still for almost three minutes. These settings bring that to seconds. Ray reads them from the
environment of each node's processes, so they must be set before `ray start`, on every node, and for the driver.

    eval "$(python -m cluster.health)"
"""

from __future__ import annotations

import sys

TIGHT = {
    # The head asks each node this often, waits so long, and gives it up after so many misses.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    # Calls under way to a node that is cut off end with its connection.
    "RAY_grpc_keepalive_time_ms": "1000",
    "RAY_grpc_keepalive_timeout_ms": "2000",
    "RAY_grpc_client_keepalive_time_ms": "2000",
    "RAY_grpc_client_keepalive_timeout_ms": "2000",
    # Workers on it are not waited for.
    "RAY_core_worker_rpc_server_reconnect_timeout_base_s": "5",
    "RAY_core_worker_rpc_server_reconnect_timeout_max_s": "10",
}
"""Environment of a cluster whose network is close: a node is given up after some five seconds of silence."""


def exports() -> str:
    """Write the settings as lines for a shell."""
    return "".join(f"export {name}={value}\n" for name, value in TIGHT.items())


if __name__ == "__main__":
    sys.stdout.write(exports())
