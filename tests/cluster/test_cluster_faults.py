"""Stages on the workers of a Dask scheduler, and faults that are real."""

import os
import re
import signal
import time

import psutil
import pytest

from hosts import RUN, check, dask_environment, ended_well, stages, wait_for

pytest_plugins = ["cluster_fixtures"]
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]


def test_a_host_that_is_killed_in_a_stage_loses_nothing(cluster, untrained, wanted):
    victim, said = cluster.worker("a", untrained), cluster.driver.said
    process = cluster.repro(untrained, *stages("train", "probe"))
    for before, name in (("", "b"), (f"train@{RUN}  ", "c")):
        wait_for(lambda before=before: before in said(), 120, said())
        wait_for(victim.has_stage, 120, said())
        victim.kill()
        victim = cluster.worker(name, untrained)
    ended_well(process, cluster.driver)
    check(untrained, wanted, RUN)
    for stage, name in (("train", "b"), ("probe", "c")):
        assert re.search(rf"{stage}@{RUN}  [\d.]+ s on {name}\n", said())


def test_a_link_that_is_down_for_a_minute_and_a_scheduler_that_is_killed_lose_nothing(cluster, untrained, wanted):
    a = cluster.worker("a", untrained)
    process = cluster.repro(untrained, *stages("train", "evaluate", "probe"))
    wait_for(a.has_stage, 120, cluster.driver.said())
    a.link("down")
    b = cluster.worker("b", untrained)
    time.sleep(60)
    a.link("up")
    wait_for(lambda: f"train@{RUN}  " in cluster.driver.said(), 120, cluster.driver.said())
    wait_for(lambda: a.has_stage() or b.has_stage(), 120, cluster.driver.said())
    cluster.head.kill()
    wait_for(lambda: "does not answer" in cluster.driver.said(), 120, cluster.driver.said())
    wait_for(lambda: not a.has_stage() and not b.has_stage(), 120, "a stage that nobody wants ends")
    cluster.start_scheduler()
    said = ended_well(process, cluster.driver)
    check(untrained, wanted, RUN)
    assert said.count("does not answer") == 1
    wait_for(lambda: not a.has_stage() and not b.has_stage(), 60, "a stage that nobody wants ends")


def test_ctrl_c_or_a_killed_driver_ends_the_stages_elsewhere_and_what_has_ended_before_is_logged(cluster, untrained):
    content = untrained.params()
    content["recipes"]["fast"]["vae"]["epochs"] = 5000
    untrained.write_params(content)
    other = RUN.replace("vae_2", "mlp_8")
    hosts = [cluster.worker(name, untrained) for name in ("a", "b")]
    process = cluster.repro(untrained, f"evaluate@{other}", *stages("train"))
    wait_for(lambda: other in untrained.finished(), 240, cluster.driver.said())
    assert f"evaluate@{other}" in cluster.driver.said()
    for number in cluster.driver.pids():
        if "repro" in psutil.Process(number).cmdline():
            os.kill(number, signal.SIGINT)
    assert process.wait(timeout=120) == 130, cluster.driver.said()
    assert f"stopped: train@{RUN}" in cluster.driver.said()
    for host in hosts:
        wait_for(lambda host=host: not host.has_stage(), 60, "the stage ends")
        wait_for(lambda host=host: not [*host.folder.rglob("latentlab-*")], 10, "its folder is gone")
    cluster.repro(untrained, *stages("train"))
    wait_for(lambda: any(host.has_stage() for host in hosts), 120, cluster.driver.said())
    cluster.driver.kill()
    wait_for(lambda: not any(host.has_stage() for host in hosts), 120, "the stage ends")


def test_workers_of_another_version_or_without_space_on_the_disk_are_not_used(cluster, untrained, wanted, tmp_path):
    other = tmp_path / "other/latentlab-9.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: latentlab\nVersion: 9.9\n", encoding="utf-8")
    paths = f"{other.parent}{os.pathsep}{dask_environment()['PYTHONPATH']}"
    cluster.worker("a", untrained, PYTHONPATH=paths)
    process = cluster.repro(untrained, *stages("train"))
    wait_for(lambda: "is not used" in cluster.driver.said(), 120, cluster.driver.said())
    wait_for(lambda: "no worker that can be used" in cluster.driver.said(), 60, cluster.driver.said())
    cluster.worker("b", untrained, disk="8m")
    wait_for(lambda: "no space is left" in cluster.driver.said(), 120, cluster.driver.said())
    cluster.worker("c", untrained)
    said = ended_well(process, cluster.driver)
    check(untrained, wanted, RUN)
    assert said.count("worker a on 10.77.0.3 is not used: latentlab 9.9, and 0.1.0 here\n") == 1
    assert f"train@{RUN}: b: no space is left on the disk of" in said
    assert said.count("no space is left") == 1
