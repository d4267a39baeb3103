"""An owner's tags are read from the job's environment; what is no tag costs nothing."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent.tags import MOST, read_tags
from jobmon_wire.documents import labels

AGENT = Path(__file__).parents[2] / "agent"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("project=apollo,protected", {"project": "apollo", "protected": ""}),
        (" a = b ,, c=d=e ", {"a": "b", "c": "d=e"}),
        ("a=1,a=2", {"a": "2"}),
        ("=x,two words=1,\x1b[31m=2,good.one-1=yes", {"good.one-1": "yes"}),
        ("long" * 17 + "=1,b=" + "x" * 5000, {}),
        ("ü=1,b=ü", {"b": "ü"}),
    ],
)
def test_tags_are_names_with_or_without_a_value(text: str, found: dict[str, str]) -> None:
    assert read_tags(text) == found


def test_no_more_tags_are_told_than_a_server_takes() -> None:
    tags = read_tags(",".join(f"tag{number}=v" for number in range(100)))

    assert len(tags) == MOST
    assert labels({"tags": tags}, "tags") == tags


def test_tags_are_read_alike_under_every_python(python: Path) -> None:
    script = "import os, sys; sys.path.insert(0, sys.argv[1]); from jobmon_agent import tags; "
    script += "print(sorted(tags.read_tags(os.environ[tags.VARIABLE]).items()))"
    environment = {**os.environ, "JOBMON_TAGS": "project=apollo,protected,no good=1"}

    told = subprocess.run(
        [str(python), "-I", "-S", "-c", script, str(AGENT)], env=environment, capture_output=True, text=True
    )

    assert told.stdout == "[('project', 'apollo'), ('protected', '')]\n", told.stderr


def test_a_jobs_tags_are_in_its_registration(launcher: Any, server: Any, until: Any) -> None:
    launcher.start(launcher.line(None, "sleep", "60"), env=launcher.environment(JOBMON_TAGS="project=apollo,protected"))

    until(lambda: server.registrations)

    assert server.registrations[-1]["tags"] == {"project": "apollo", "protected": ""}
