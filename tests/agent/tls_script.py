"""One request to each of several servers, as the agent makes it, in whichever Python runs this: 3.6 and up.

    python -I -S tls_script.py AGENT_DIRECTORY VISITS

VISITS is a list of credential file and server's address.  Prints one line of
JSON: what came of each, ``answered`` or the error.
"""

import json
import select
import sys

sys.path.insert(0, sys.argv[1])

from jobmon_agent.tls import client_context, connect, read_address
from jobmon_wire.credential import open_credential


def wait(descriptor, mask, timeout):
    waiter = select.poll()
    waiter.register(descriptor, mask)
    return bool(waiter.poll(timeout * 1000))


def visit(path, url):
    descriptor, credential = open_credential(path)
    try:
        connection = connect(read_address(url), client_context(credential, descriptor), wait)
    except OSError as error:
        return "no connection: %s" % error
    answer = b""
    try:
        connection.unsent += b"POST /v1/register HTTP/1.1\r\nContent-Length: 6\r\n\r\nsecret"
        while b"\r\n\r\n{}" not in answer and not connection.is_at_end:
            if not wait(connection.fileno(), connection.interest(), 10.0):
                return "no answer"
            answer += connection.move()
    except OSError as error:
        return "refused: %s" % error
    finally:
        connection.close()
    return "answered" if answer else "closed"


print(json.dumps([visit(path, url) for path, url in json.loads(sys.argv[2])]))
