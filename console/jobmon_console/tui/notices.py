"""What is said in answer to a key, for a few seconds: of each kind the newest alone."""

from textual.app import App
from textual.notifications import Notification, Notify

from jobmon_console.safe import safe

SAVED, COPIED, JUMPED = "saved", "copied", "jumped"


class Notices:
    """Notices on the screen."""

    def __init__(self) -> None:
        self._shown: dict[str, Notification] = {}

    def say(self, app: App[None], text: str, kind: str) -> None:
        """Show a text; an earlier one of its kind, or with the same text, goes."""
        self._shown = {key: each for key, each in self._shown.items() if not each.has_expired}
        key, notice = kind or text, Notification(safe(text), timeout=app.NOTIFICATION_TIMEOUT)
        earlier = self._shown.pop(key, None)
        if earlier is not None:
            app._unnotify(earlier, refresh=False)
        self._shown[key] = notice
        app.post_message(Notify(notice))
