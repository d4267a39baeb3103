"""Two clusters, each with a server and authorities of its own, in one list."""

import json
import subprocess
from collections.abc import Callable

from tests.end_to_end.sites import ANSWER, JOBMON, Site

PRINTS = "import time\nwhile True: print('here', flush=True); time.sleep(0.1)"


def test_one_list_and_one_command_reach_the_jobs_of_two_clusters(make_site: Callable[[str], Site]) -> None:
    sites = {name: make_site(name) for name in ("caf", "desy")}
    jobs = {name: site.start_job(PRINTS).id for name, site in sites.items()}
    both = sites["caf"].scratch / "both.toml"
    both.touch(0o600)
    both.write_text(
        'current = ["caf", "desy"]\n'
        + "".join(f'[context.{name}]\ncredential = "{site.scratch}/alice.jobmon"\n' for name, site in sites.items())
    )

    def jobmon(*words: str) -> subprocess.CompletedProcess[str]:
        environment = sites["caf"].environment | {"JOBMON_CONFIG": str(both)}
        return subprocess.run(
            (*JOBMON, *words), env=environment, capture_output=True, text=True, timeout=ANSWER, check=False
        )

    listed = [json.loads(line) for line in jobmon("jobs", "--json").stdout.splitlines()]

    assert {(row["cluster"], row["id"]) for row in listed} == set(jobs.items())
    for job in jobs.values():
        assert jobmon("head", "-n", "1", job).stdout == "here\n"
    sites["desy"].server.kill()
    sites["desy"].server.wait()
    alone = jobmon("jobs", "--json")
    assert [json.loads(line)["cluster"] for line in alone.stdout.splitlines()] == ["caf"]
    assert alone.returncode == 5
    assert "desy" in alone.stderr
