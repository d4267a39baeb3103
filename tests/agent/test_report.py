"""What an agent reports of its job is in the words of people."""

import pytest

from jobmon_agent.report import program_name


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/opt/bin/simulate --events 5", "simulate"),
        ("python3 train.py --fold 7", "train.py"),
        ("/usr/bin/python3.6 /home/alice/train.py", "train.py"),
        ("python3 -m train", "python3"),
        ("bash -c true", "bash"),
        ("python3", "python3"),
        ("shuffle deck", "shuffle"),
    ],
)
def test_a_job_is_called_by_its_script_not_by_the_interpreter(command: str, name: str) -> None:
    assert program_name(tuple(command.split())) == name
