"""Whether a worker can be placed, and who stands in its way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray

from cluster.capacity import Demand, check_room, holders, situation
from cluster.errors import ClusterError
from cluster.session import connect

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    with connect(num_cpus=2):
        yield


class Hog:
    def ready(self) -> bool:
        return True


def test_a_free_cluster_has_room():
    """Nothing stands in the way, and nobody holds anything."""
    assert check_room(Demand(num_cpus=0.5, memory_bytes=100 << 20), fixed=True) is None
    assert holders() == []


def test_what_fits_no_node_is_an_error_where_none_can_come():
    """More CPUs or memory than any node has is refused at once with what there is; elsewhere it is waited for."""
    for demand in (Demand(num_cpus=3), Demand(num_cpus=1, memory_bytes=1 << 50)):
        with pytest.raises(ClusterError, match=r"no node of the cluster has [13] CPUs.*1 with 2 CPUs and \d+ MB"):
            check_room(demand, fixed=True)
        assert "waits for a node" in str(check_room(demand, fixed=False))


def test_who_holds_the_cpus_is_named():
    """An actor that takes all CPUs is named with what it holds, and there is room again when it has ended."""
    hog = ray.remote(num_cpus=2)(Hog).remote()
    ray.get(hog.ready.remote())
    said = str(check_room(Demand(num_cpus=0.5), fixed=True))
    assert "no node has 0.5 CPUs free for a worker: 0 of 2 CPUs" in said
    assert "held by actor Hog (2 CPUs)" in said
    ray.kill(hog)
    assert check_room(Demand(num_cpus=0.5), fixed=True) is None
    assert "held by" not in situation()


def test_a_placement_group_is_named():
    """What a placement group reserves counts as held, under its name."""
    group = ray.util.placement_group([{"CPU": 2}], name="training")
    ray.get(group.ready())
    assert "placement group training (2 CPUs)" in str(check_room(Demand(num_cpus=0.5), fixed=True))
    ray.util.remove_placement_group(group)
