"""What the cluster has, what is free of it and who holds the rest: why a worker can or cannot be placed.

Asked before a stage starts its workers, and again when nothing moves. Ray answers such questions over its dashboard,
which a cluster of a run does not have; so the tables are read where `ray.available_resources` reads them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import ray
from ray._private.state import state as _state
from ray.core.generated.gcs_pb2 import ActorTableData

from cluster.errors import ClusterError

_SETTLES_S = 3.0
"""Within so long workers that have just ended give back what they held, and the tables say so."""

_MOST_HOLDERS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one worker asks for.

    Attributes:
        num_cpus: CPUs, fractions too.
        memory_bytes: None where it asks for none.
    """

    num_cpus: float
    memory_bytes: int | None = None

    def fits(self, resources: Mapping[str, float]) -> bool:
        """Whether a node with these resources has room for it."""
        return resources.get("CPU", 0) >= self.num_cpus and resources.get("memory", 0) >= (self.memory_bytes or 0)

    def __str__(self) -> str:
        memory = "" if self.memory_bytes is None else f" and {self.memory_bytes >> 20} MB"
        return f"{self.num_cpus:g} CPUs{memory}"


def check_room(demand: Demand, *, fixed: bool) -> str | None:
    """Say whether the cluster can place a worker.

    Args:
        demand: of the worker.
        fixed: whether no node can come. Ray does not tell whether an autoscaler is at work, so of a cluster that was
            there before, nobody knows.

    Returns:
        None if it can now; else, as a sentence, what stands in the way of it for the time being.

    Raises:
        ClusterError: no node is large enough, and none will come.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(demand.fits(node) for node in nodes):
        if fixed:
            raise ClusterError(
                f"no node of the cluster has {demand} for a worker: {_sizes(nodes)}. Add a node that has, or start Ray "
                "with more CPUs (`ray start --num-cpus`)"
            )
        return f"no node that is up has {demand} for a worker ({_sizes(nodes)}), so it waits for a node to come"
    deadline = time.monotonic() + _SETTLES_S
    while not any(demand.fits(node) for node in _state.available_resources_per_node().values()):
        if time.monotonic() > deadline:
            return f"no node has {demand} free for a worker: {situation()}"
        time.sleep(0.1)
    return None


def situation() -> str:
    """Say what is free and who holds the rest, as `0 of 2 CPUs and 3000 of 4000 MB are free; held by ...`."""
    have, free = ray.cluster_resources(), ray.available_resources()
    cpus = f"{free.get('CPU', 0):g} of {have.get('CPU', 0):g} CPUs"
    memory = f"{int(free.get('memory', 0)) >> 20} of {int(have.get('memory', 0)) >> 20} MB"
    told = holders()
    return f"{cpus} and {memory} are free" + (f"; held by {', '.join(told)}" if told else "")


def holders() -> list[str]:
    """Name the actors and placement groups that hold CPUs or memory, the largest first.

    Remote calls hold some too, but only for as long as they run, and Ray keeps no list of those.
    """
    found: Counter[tuple[str, float, int]] = Counter()
    for raw in _state._connect_and_get_accessor().get_actor_table(None, None):
        actor = ActorTableData.FromString(raw)
        wants = actor.required_resources
        # One in a placement group holds what is counted with the group.
        if actor.state == ActorTableData.ALIVE and not actor.placement_group_id.strip(b"\xff"):
            name = f"actor {actor.class_name}" + (f" {actor.name!r}" if actor.name else "")
            found[name, wants.get("CPU", 0.0), int(wants.get("memory", 0))] += 1
    for group in (_state.placement_group_table() or {}).values():
        if group["state"] == "CREATED":
            bundles = list(group["bundles"].values())
            cpus, memory = (sum(bundle.get(kind, 0) for bundle in bundles) for kind in ("CPU", "memory"))
            found[f"placement group {group['name'] or group['placement_group_id'][:8]}", cpus, int(memory)] += 1
    order = sorted((key for key in found if key[1] or key[2]), key=lambda key: (-key[1] * found[key], -key[2], key[0]))
    told = [
        (f"{found[name, cpus, memory]} x " if found[name, cpus, memory] > 1 else "")
        + f"{name} ({Demand(num_cpus=cpus, memory_bytes=memory or None)})"
        for name, cpus, memory in order[:_MOST_HOLDERS]
    ]
    return told + ([f"{len(order) - _MOST_HOLDERS} more"] if len(order) > _MOST_HOLDERS else [])


def _sizes(nodes: list[Mapping[str, float]]) -> str:
    sizes = Counter(f"{node.get('CPU', 0):g} CPUs and {int(node.get('memory', 0)) >> 20} MB" for node in nodes)
    told = [f"{count} with {size}" for size, count in sizes.most_common(3)]
    return f"{len(nodes)} node(s), {', '.join(told)}" + (", ..." if len(sizes) > 3 else "")
