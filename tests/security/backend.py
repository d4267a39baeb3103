"""What is behind a port in a test: it notes every request that reaches it."""

import json

from starlette.types import Receive, Scope, Send

from jobmon_server.bodies import read_body
from jobmon_server.refusals import RefusedError


class Backend:
    """An application that reads the body and says who asked."""

    def __init__(self) -> None:
        self.reached: list[tuple[str, bytes]] = []  # path and body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(receive)
        except RefusedError as error:  # it has not reached us whole
            await error.response()(scope, receive, send)
            return
        self.reached.append((scope["path"], body))
        facts = {"holder": scope["state"]["peer"].holder, "source": scope["state"]["peer"].source.split(":")[0]}
        answer = json.dumps(facts).encode()
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
