"""Fifty ends each way under a Slurm that kills the agent together with its job: how many are told with their status."""

import json
import os
from collections import Counter

import pytest

from tests.batch.conftest import LIMIT, Cluster, cluster  # noqa: F401
from tests.batch.slurm import CGROUP

JOBS = int(os.environ.get("JOBMON_SOAK_SLURM", "50"))
# Without a waiter the agent has a millisecond; how much it is given depends on what else the node does.
LEAST = {"--wrap": 1.0, "--exec": 0.0}


@pytest.mark.parametrize("cluster", [CGROUP], indirect=True)
@pytest.mark.parametrize("mode", LEAST)
def test_ends_are_told_with_their_status(cluster: Cluster, mode: str) -> None:  # noqa: F811
    jobs = [cluster.submit(f"sleep 2; exit {1 + number % 100}", agent=mode) for number in range(JOBS)]
    cluster.wait(lambda: not cluster.slurm.user_runs("squeue", "-h").strip(), LIMIT + 10 * JOBS)
    names = {job.name: 1 + number % 100 for number, job in enumerate(jobs)}

    def rows() -> list[dict[str, object]]:
        found = [row for row in cluster.site.rows() if row["id"] in names]
        return found if all(row["state"] not in ("starting", "running") for row in found) else []

    ends: Counter[str] = Counter()
    for row in cluster.wait(rows):
        code = (row["exit"] or {}).get("code")
        assert code in (None, names[str(row["id"])]), json.dumps(row)  # never a wrong one
        ends["told" if code else f"{row['state']}, unknown"] += 1
    print(f"\n{mode}: {dict(ends)}")
    assert sum(ends.values()) == JOBS
    assert ends["told"] >= LEAST[mode] * JOBS
