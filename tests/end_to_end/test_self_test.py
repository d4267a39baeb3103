"""A node is examined with a job's credential before the job runs there, and the server learns nothing of it."""

import subprocess
import sys

from tests.end_to_end.sites import ANSWER, Site


def test_a_node_is_told_that_the_server_and_datagrams_reach_it(site: Site) -> None:
    assert site.jobmon("agent", "--python", sys.executable, "--out", str(site.agent), context=None).returncode == 0
    assert site.jobmon("credential", "--id", "examined", "--out", str(site.scratch)).returncode == 0
    line = [sys.executable, "-I", "-S", str(site.agent), "--self-test", "--credential", "examined.jobmon"]

    told = subprocess.run(line, cwd=site.scratch, capture_output=True, text=True, timeout=ANSWER, check=False)

    lines = {line.split()[1]: line for line in told.stdout.splitlines()}
    assert (told.returncode, told.stderr) == (0, "")
    assert lines["server"].startswith("ok ")
    assert lines["datagrams"].startswith("ok ")
    assert " answers in " in lines["datagrams"]
    assert not site.rows("id=examined")
