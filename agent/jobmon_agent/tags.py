"""Tags: an owner's own labels of a job, from the job's environment.

``JOBMON_TAGS="project=apollo,protected"`` makes two: what stands before the
first ``=`` is the name, and a name alone has an empty value.  What is no tag
is left out, so that a slip of the pen never costs the registration.
"""

import re

from jobmon_wire import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, Tuple

VARIABLE = "JOBMON_TAGS"
MOST = limits.BATCH_LABELS  # tags a job
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,%d}" % (limits.LABEL - 1))  # as a selector's tag.NAME may be


def read_tags(text: str) -> "Dict[str, str]":
    """The tags in a variable's value: the first ``MOST``; of one that stands twice the last counts."""
    found: "Dict[str, str]" = {}
    for name, value in _pairs(text):
        if name in found or len(found) < MOST:
            found[name] = value
    return found


def _pairs(text: str) -> "Iterator[Tuple[str, str]]":
    for part in text.split(","):
        name, _, value = part.partition("=")
        name, value = name.strip(), value.strip()
        if _NAME.fullmatch(name) and len(value) <= limits.TEXT:
            yield name, value
