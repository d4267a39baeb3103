"""The commands of ``jobmon``: one table for help, dispatch and completion."""

from typing import NamedTuple


class Command(NamedTuple):
    """One command of ``jobmon``."""

    name: str
    module: str  # below jobmon_console.cli; add_arguments and run
    summary: str
    example: str  # one a line
    is_client: bool = True  # takes the flags of contexts
    takes_job: bool = False  # for completion


_RUNNING = (
    Command(
        "jobs",
        "jobs",
        "list jobs: status and information",
        "jobmon jobs 'state:ended exit!=0 ended<2h'\njobmon jobs --json --columns id,state node:wn042",
    ),
    Command(
        "show",
        "show",
        "one job, everything known",
        "jobmon show 4711.0",
        takes_job=True,
    ),
    Command(
        "log",
        "log",
        "progress of a job: what it and JobMon reported",
        "jobmon log -f 4711.0",
        takes_job=True,
    ),
    Command(
        "node",
        "node",
        "the node a job runs on, or a node's jobs",
        "jobmon node 4711.0\njobmon node wn042",
        takes_job=True,
    ),
    Command(
        "ps",
        "ps",
        "process tree of a job",
        "jobmon ps 4711.0",
        takes_job=True,
    ),
    Command(
        "top",
        "top",
        "what a job's processes use, again and again",
        "jobmon top 4711.0\njobmon top -d 5 -n 3 4711.0 > use.txt",
        takes_job=True,
    ),
    Command(
        "stack",
        "stack",
        "what every thread of a job waits for; with a tool, the functions it is in",
        "jobmon stack 4711.0\njobmon stack 4711.0 31337 --py-spy",
        takes_job=True,
    ),
    Command(
        "ls",
        "ls",
        "files of a job's sandbox",
        "jobmon ls -l 4711.0 results\njobmon ls -lt 4711.0 'out/*.log'",
        takes_job=True,
    ),
    Command(
        "head",
        "read",
        "first lines of a job's output or of a file",
        "jobmon head -n 3 4711.0",
        takes_job=True,
    ),
    Command(
        "tail",
        "read",
        "last lines of a job's output or of a file, and what follows",
        "jobmon tail -f 4711.0\njobmon tail -c 4096 4711.0 stderr",
        takes_job=True,
    ),
    Command(
        "cat",
        "read",
        "a whole file of a job, or a range of its bytes",
        "jobmon cat 4711.0 results/hist.root > hist.root\njobmon cat --offset 1000000 --length 4096 4711.0 run.log",
        takes_job=True,
    ),
    Command(
        "kill",
        "kill",
        "a signal to all processes of a job or to one, KILL after the grace",
        "jobmon kill 4711.0\njobmon kill 4711.0 --pid 31337\njobmon kill -s USR1 --yes '@name:train* state:running'",
        takes_job=True,
    ),
    Command(
        "shell",
        "shell",
        "a shell beside a job, where its site allows that",
        "jobmon shell 4711.0\njobmon shell 4711.0 -- nvidia-smi\necho 'ls -l' | jobmon shell 4711.0",
        takes_job=True,
    ),
    Command(
        "audit",
        "audit",
        "who did what to my jobs",
        "jobmon audit 4711.0",
        takes_job=True,
    ),
)
_STARTING = (
    Command(
        "run",
        "run",
        "run a command here, now, as a monitored job",
        "jobmon run -- ./simulate --events 1000",
    ),
    Command(
        "credential",
        "credential",
        "job credentials to send with jobs",
        "jobmon credential --id 4711 4712 --out jobs --lifetime 7d",
    ),
    Command(
        "agent",
        "agent",
        "write the one-file agent",
        "jobmon agent --out jobmond.pyz --python /opt/py36/bin/python3 python3",
        is_client=False,
    ),
)
_SITE = (
    Command(
        "console",
        "console",
        "the full-screen console",
        "jobmon console --context caf --context desy",
    ),
    Command(
        "demo",
        "demo",
        "a throw-away site on this machine, with real jobs",
        "jobmon demo --jobs 8\njobmon demo --headless --duration 60",
        is_client=False,
    ),
    Command(
        "doctor",
        "doctor",
        "find out why it does not work",
        "jobmon doctor --context caf",
    ),
    Command(
        "config",
        "config",
        "contexts: servers and credentials by name",
        "jobmon config add caf caf-alice.jobmon\njobmon config use caf desy\njobmon config list",
    ),
    Command(
        "logout",
        "logout",
        "end the connection holders, and forget the keys they hold",
        "jobmon logout",
        is_client=False,
    ),
    Command(
        "completion",
        "completion",
        "shell completion",
        'eval "$(jobmon completion bash)"\njobmon completion fish > ~/.config/fish/completions/jobmon.fish',
        is_client=False,
    ),
    Command(
        "server",
        "server",
        "set up or run a server",
        "jobmon server --init /etc/jobmon --host head.example.org",
        is_client=False,
    ),
    Command(
        "pki",
        "pki",
        "issue, list and revoke certificates",
        "jobmon pki issue --site /etc/jobmon --person alice --out alice.jobmon",
        is_client=False,
    ),
)
COMMANDS = {command.name: command for command in _RUNNING + _STARTING + _SITE}

# Their own programs read what follows.
PASSED_ON = ("server", "pki")
