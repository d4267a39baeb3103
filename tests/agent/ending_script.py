"""Lets processes end and be reaped while another one learns how, and prints what was learnt amiss.

Executed with ``python -I -S`` and: the agent's directory, how many processes, and
what is taken away: ``nothing``, ``record`` (the kernel keeps none), or ``all``
(there is no zombie to be seen either).  Prints at last how many ends stayed
unknown, and median and 95 % of the seconds from the reaping to the knowledge.
"""

import os
import random
import select
import signal
import sys
import time

sys.path.insert(0, sys.argv[1])

from jobmon_agent import ending, pidfd, pidstat

COUNT, TAKEN = int(sys.argv[2]), sys.argv[3]
SIGNALS = (signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1)

if TAKEN != "nothing":
    pidfd.exit_status = lambda descriptor: None
if TAKEN == "all":
    pidstat.zombie_status = lambda pid, starttime: None


def one(number):
    """An end as wait() tells it, as it was learnt, its source, and the seconds between."""
    go, let_go = os.pipe()
    job = os.fork()
    if not job:
        os.read(go, 1)
        if number % 4 == 3:
            os.kill(os.getpid(), SIGNALS[number % 3])
        os._exit(random.randrange(256))
    told, tell = os.pipe()
    observer = os.fork()
    if not observer:
        descriptor = pidfd.open_pidfd(job)
        watched = ending.Ending(job, pidstat.start_time(job), descriptor)
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        os.write(tell, b"ready\n")
        waiting.poll()
        status, source = watched.learn()
        at = time.monotonic()
        os.write(tell, repr((status, source, at)).encode())
        os._exit(0)
    os.close(tell)
    os.read(told, 6)
    if number % 2:
        # A parent that looks a little later, as one does that is busy.
        os.write(let_go, b"g")
        time.sleep(random.random() * 0.005)
    else:
        os.write(let_go, b"g")
    status = os.waitpid(job, 0)[1]
    reaped = time.monotonic()
    learnt, source, at = eval(os.read(told, 200))
    os.waitpid(observer, 0)
    for descriptor in (go, let_go, told):
        os.close(descriptor)
    return status, learnt, source, at - reaped


delays, unknown = [], 0
for number in range(COUNT):
    status, learnt, source, delay = one(number)
    if learnt is None:
        unknown += 1
        assert source == "unknown"
    elif learnt != status:
        print(f"status {status:#x} was learnt as {learnt:#x} from {source}")
    else:
        delays.append(delay)
delays.sort()
percentiles = [delays[len(delays) * part // 100] if delays else 0 for part in (50, 95)]
print(unknown, *percentiles)
