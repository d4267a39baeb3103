"""The verbs this agent knows: one function each, by name.

A verb is a generator over the job and its checked arguments.  It yields frames'
types and payloads, raises ``VerbFailure`` when it cannot be done, and may be
killed at any moment: it leaves nothing that would have to be put right.  One
that takes input also gets two pipes: where what is typed comes from, and where
what it yields goes.
"""

from typing import Callable, Dict

from jobmon_agent.dump import dump
from jobmon_agent.files import Answer, cat, head, of_each
from jobmon_agent.listing import ls
from jobmon_agent.node import node
from jobmon_agent.processes import ps
from jobmon_agent.shell import shell
from jobmon_agent.signals import kill
from jobmon_agent.stack import stack
from jobmon_agent.tail import tail
from jobmon_agent.top import top

VERBS: Dict[str, Callable[..., Answer]] = {
    "ps": ps,
    "top": top,
    "ls": ls,
    "head": of_each(head),
    "tail": of_each(tail),
    "cat": of_each(cat),
    "kill": kill,
    "stack": stack,
    "dump": dump,
    "node": node,
    "shell": shell,
}
