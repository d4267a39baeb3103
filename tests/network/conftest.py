"""A lab for each file of tests, with a site outside whose jobs run on the worker node."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon_console import calls
from jobmon_console.contexts import Context, Flags, load_contexts
from jobmon_console.session import Session
from jobmon_wire.frames import RECORD
from tests.end_to_end.sites import Job, OwnSite
from tests.network.lab import OUTSIDE, Lab, missing

BEAT = 2.0  # s between an agent's datagrams
PING = 1.0  # s between the beats of an open channel
QUIET = 1.0  # s until a channel that is not used is closed
SLOW_BEAT = 8.0  # s; an agent must see that it is deaf, which takes two beats and 6 s, before it counts as silent


def settings(beat: float = BEAT, ping: float = PING) -> str:
    """What the site's configuration says besides the defaults."""
    return f"beat = {beat}\nping = {ping}\nquiet = {QUIET}\nlost_after = 600.0\n"


class FarSite(OwnSite):
    """A site whose server stands outside, and whose jobs run on the worker node of a lab."""

    def __init__(self, cluster: str, directory: Path, lab: Lab) -> None:
        self.lab = lab
        super().__init__(cluster, directory, settings(), OUTSIDE)
        self.on_worker = lab.on_worker

    def context(self, person: str = "alice") -> Context:
        """What a person's own programs ask the server with."""
        [found] = load_contexts(Flags(context=(person,)), self.environment)
        return found

    def ask(self, job: Job, verb: str, **arguments: object) -> list[dict[str, object]]:
        """Ask a job as a script would, which has no interpreter to start first; the records of the answer.

        Raises:
            JobMonError: the server or the agent has refused, or nobody answers.
        """
        with Session(self.context()) as session:
            frames = list(session.frames(calls.query(job.id, verb, arguments)))
        return [frame.document() for frame in frames if frame.type == RECORD]

    def is_let_go(self) -> bool:
        """No agent has a connection open: each must be rung to be asked."""
        return not self.lab.connections(self.agents_port)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A worker node behind a gateway; the tests of the file stand outside."""
    if why := missing():
        pytest.skip(why)
    with Lab() as found:
        yield found


@pytest.fixture(scope="module")
def far_site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarSite]:
    """A site outside, with its server."""
    site = FarSite("far", tmp_path_factory.mktemp("network") / "far", lab)
    try:
        yield site
    finally:
        site.stop()


@pytest.fixture
def site(far_site: FarSite, lab: Lab) -> Iterator[FarSite]:
    """The site, for one test in fair weather; jobs that the test starts end with it."""
    yield far_site
    far_site.end_jobs()
    lab.settle()
    far_site.jobs.clear()
