"""What a beat says of the job is never older than what the channel has said: in the list nothing goes back."""

from pathlib import Path
from typing import Any

from jobmon_wire import frames
from tests.agent.bell import Bell

PRINTER = ["sh", "-c", "while :; do echo a line; sleep 0.02; done"]


def test_while_the_channel_is_open_a_beat_is_as_new(
    launcher: Any, server: Any, bell: Bell, until: Any, old_or_new: Path, tmp_path: Path
) -> None:
    server.grants_leave = False
    with (tmp_path / "out").open("wb") as out:
        launcher.start(launcher.line(old_or_new, *PRINTER), stdout=out)
    channel = server.channel()
    until(lambda: len(channel.objects(frames.VITALS)) >= 2)
    told, beats = channel.objects(frames.VITALS)[-1], len(bell.beats)
    until(lambda: len(bell.beats) >= beats + 2)  # the first may have been on its way

    said = bell.beats[-1][1]
    assert said["at"] > told["at"]
    assert said["output_bytes"] > told["output_bytes"] > 0


def test_once_the_channel_is_closed_the_first_beat_is_newer(
    launcher: Any, server: Any, bell: Bell, until: Any, old_or_new: Path, tmp_path: Path
) -> None:
    server.quiet, server.grants_leave = 0.2, False
    with (tmp_path / "out").open("wb") as out:
        launcher.start(launcher.line(old_or_new, *PRINTER), stdout=out)
    channel = server.channel()
    until(lambda: len(channel.objects(frames.VITALS)) >= 2)
    server.grants_leave = True
    until(lambda: not channel.is_open)
    told, beats = channel.objects(frames.VITALS)[-1], len(bell.beats)
    until(lambda: len(bell.beats) >= beats + 2)

    assert bell.beats[beats + 1][1]["at"] > told["at"]
    assert bell.beats[beats + 1][1]["output_bytes"] >= told["output_bytes"]
