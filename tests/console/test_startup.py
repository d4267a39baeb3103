"""A command starts with little, every command explains itself, shells can complete it."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from jobmon_console.cli.commands import COMMANDS
from jobmon_console.cli.completion import SHELLS

Run = Callable[..., Any]

HEAVY = ("httpx", "textual", "asyncio", "cryptography", "rich", "anyio", "jobmon_pki", "jobmon_server", "jobmon_agent")
CLIENTS = ("jobs", "show", "log", "node", "ps", "top", "stack", "ls", "head", "tail", "cat", "kill", "shell", "audit")

LOADED = """
import sys
from jobmon_console.cli.main import main
status = main(sys.argv[1:])
print(status, *(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize("command", ["jobs", "ps j", "tail -f j"])
def test_a_one_shot_command_imports_no_client_library(command: str, fake: Any, context: Any, at_fake: Run) -> None:
    fake.rows("GET /v1/jobs")
    fake.answer("j")
    program = [sys.executable, "-c", LOADED.format(heavy=HEAVY), *command.split(), "--credential", context.credential]

    result = subprocess.run(program, capture_output=True, text=True, timeout=60)

    assert result.stderr == "0\n"


def test_the_headless_half_works_without_textual() -> None:
    program = "import sys; sys.modules['textual'] = sys.modules['rich'] = None\n" + "".join(
        f"import jobmon_console.{name}\n"
        for name in ("client", "session", "calls", "contexts", "jobs", "safe", "replies", "credentials")
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_missing_extra_is_one_sentence_that_names_it() -> None:
    program = "import sys; sys.modules['cryptography'] = None\n" + LOADED.format(heavy=("textual",))

    result = subprocess.run([sys.executable, "-c", program, "pki", "list"], capture_output=True, text=True, timeout=60)

    assert result.stderr == ("jobmon: the part for certificates is not installed; run: pip install 'jobmon[pki]'\n1\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str, jobmon: Run) -> None:
    if command in ("server", "pki"):
        ours = [sys.executable, "-m", "jobmon_console.cli.main", command, "--help"]
        result = subprocess.run(ours, capture_output=True, text=True, timeout=60)
        status, text = result.returncode, result.stdout
    else:
        found = jobmon(command, "--help")
        status, text = found.status, found.text

    assert status == 0
    assert "example" in text
    assert "jobmon" in text


def test_version_and_help_of_the_whole(jobmon: Run) -> None:
    assert jobmon("--version").text.startswith("jobmon ")
    text = jobmon("--help").text
    assert all(f"    {command} " in text for command in COMMANDS)


def test_without_a_terminal_jobmon_alone_prints_help_and_exits_2(jobmon: Run) -> None:
    result = jobmon()

    assert (result.status, "usage: jobmon" in result.text) == (2, True)


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_printed_and_its_shell_can_read_it(shell: str, jobmon: Run) -> None:
    script = jobmon("completion", shell).text
    for word in ("kill", "--follow", "--lifetime"):
        assert word.lstrip("-") in script
    if not shutil.which(shell):
        pytest.skip(f"the shell {shell} is missing")
    subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=60)


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ki", "kill"),
        ("completion fi", "fish"),
        ("tail --fo", "--follow"),
        ("--context x ja", ""),
        ("jobs --w", "--watch"),
    ],
)
def test_bash_completes_words(words: str, expected: str, jobmon: Run) -> None:
    script = jobmon("completion", "bash").text
    typed = ["jobmon", *words.split()]
    program = (
        f"{script}\njobmon() {{ :; }}\nCOMP_WORDS=({' '.join(typed)})\nCOMP_CWORD={len(typed) - 1}\n"
        '_jobmon\necho "${COMPREPLY[*]}"'
    )

    found = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert found.stdout.strip() == expected
