from dataclasses import replace

import pytest

from cluster.session import Session
from engine.stages.stream import cores_an_actor, num_actors, num_calls, num_decoders, num_threads, within_memory


@pytest.mark.parametrize(
    ("cpus", "items", "actors", "calls"),
    [(2, 1, 1, 1), (2, 4, 2, 2), (2, 15, 2, 2), (2, 16, 2, 3), (1, 8, 1, 2), (16, 40, 16, 16), (16, 128, 16, 17)],
)
def test_one_more_call_than_cores_where_shards_are_many(cpus, items, actors, calls):
    assert num_actors(cpus, items) == actors
    assert num_calls(_session(cpus), items) == calls


def test_on_a_cluster_a_call_has_a_core_to_itself():
    assert num_calls(_session(2, local=False), 100) == 2


def test_actors_share_the_cores_of_a_machine():
    assert [cores_an_actor(_session(8), items) for items in (1, 4, 8, 16, 100)] == [8, 4, 2, 1, 1]
    assert cores_an_actor(_session(8, local=False), 1) == 1
    assert num_threads(_session(8), 1) == 8
    assert num_threads(replace(_session(8), num_gpus=1), 1) == 1


def test_memory_leaves_fewer_actors_with_more_cores_each():
    """Of 8 GB two actors of 3 GB fit, with half of eight cores each; of 9 GB none, and one is tried."""
    assert within_memory(_session(8), 8, 3 << 30) == (2, 3 << 30, "")
    assert num_threads(_session(8), 100, 3 << 30) == num_decoders(_session(8), 100, 3 << 30) == 4
    actors, stated, trouble = within_memory(_session(8), 8, 9 << 30)
    assert (actors, stated) == (1, 8 << 30)
    assert "may need 9216 MB, and the largest node lends 8192 MB" in trouble


def test_decoders_of_a_gpu_share_the_cores_that_there_are_for_it():
    """Sixteen cores and two GPUs: eight for each, and never none."""
    assert num_decoders(replace(_session(16), num_gpus=2), 100) == 8
    assert num_decoders(replace(_session(2), num_gpus=4), 100) == 1
    assert num_decoders(_session(16), 100) == 1


def _session(cpus: int, *, local: bool = True) -> Session:
    return Session(num_cpus=cpus, num_nodes=1, node_memory_bytes=(8 << 30,), local=local)
