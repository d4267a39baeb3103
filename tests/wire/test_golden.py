"""The bytes of every frame are fixed, and every Python that may run the agent agrees on them.

One file a message in ``tests/frames``: the fields, and the bytes they are on the wire.
"""

import json
import subprocess
from pathlib import Path

import pytest

from jobmon_wire import frames
from tests.pythons import PYTHONS

FRAMES = Path(__file__).parent.parent / "frames"
AGENT = Path(__file__).parent.parent.parent / "agent"
GOLDEN = sorted(FRAMES.glob("*.json"))

SCRIPT = """
import binascii, json, sys
sys.path.insert(0, sys.argv[1])
from jobmon_wire import frames
for path in sys.argv[2:]:
    with open(path) as file:
        golden = json.load(file)
    stream = binascii.unhexlify(golden["bytes"])
    kind = getattr(frames, golden["type"])
    request = binascii.unhexlify(golden["request"])
    frame, = frames.FrameReader(frames.UP | frames.DOWN).feed(stream)
    assert (frame.type, frame.request) == (kind, request), path
    if "document" in golden:
        assert frame.document() == golden["document"], path
        written = frames.write_object(kind, request, golden["document"])
        # Python 3.6 and later keep the order of keys; the golden file has the order of the wire.
        assert written == stream, path
    else:
        assert frame.payload == binascii.unhexlify(golden["payload"]), path
        assert frames.write_frame(kind, request, frame.payload) == stream, path
"""


def test_every_type_of_frame_has_a_golden_file() -> None:
    covered = {json.loads(path.read_text())["type"] for path in GOLDEN}

    assert {getattr(frames, name) for name in covered} == frames.UP | frames.DOWN


@pytest.mark.parametrize("python", PYTHONS, ids=lambda python: python.version)
def test_golden_frames_are_read_and_written_alike(python) -> None:  # type: ignore[no-untyped-def]
    command = [python.path, "-I", "-S", "-W", "error", "-c", SCRIPT, str(AGENT), *map(str, GOLDEN)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
