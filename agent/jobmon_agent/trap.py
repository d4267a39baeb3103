"""The shell code that ``jobmond.pyz attach --sh`` prints, for a script to evaluate.

It exports two variables and sets an EXIT trap, which leaves the script's exit
status in the agent's directory, as the name of an empty file.  The trap
changes no status, starts no process, writes no byte and waits for nothing; one
that the script has set already is run as before.

The status is told last, when a trap that was there before has not exited by
itself.  bash runs the trap also when it dies of a signal, and ``$?`` is that
of some earlier command then.  So it tells only what cannot be that: that it
executes ``exit``, or that a command failed under ``set -e``.
"""

TYPE_CHECKING = False  # importing typing would cost the launcher 10 ms
if TYPE_CHECKING:
    from typing import List

NOTHING = b":\n"  # evaluated, it does nothing

# `true` and not `:`, whose failed redirection ends a shell of POSIX.
_TELL = b"""\
_jobmon_tell() {
if [ -d "$_jobmon_end" ] && [ ! -h "$_jobmon_end" ]; then { true > "$_jobmon_end/$1"; } 2>/dev/null || true; fi
}
"""
# Such a shell lists its traps in no command substitution, and in no file beyond its file-size limit, but in a FIFO.
# A trap that is there stays; it could not be read back whole.
_PLAIN = (
    _TELL
    + b"""\
_jobmon_line=
if [ -p "$_jobmon_end/traps" ]; then
{ trap >&3; echo .jobmon >&3
while IFS= read -r _jobmon_line <&3; do case $_jobmon_line in .jobmon|*EXIT) break ;; esac; done
} 2>/dev/null 3<> "$_jobmon_end/traps" || true
fi
if [ "$_jobmon_line" = .jobmon ]; then trap '_jobmon_tell "$?"' EXIT; fi
"""
)
# $1 the status, $2 what bash executes; a substitution in it may take long.  130: bash may yet die of the INT that
# ended the command.  In `if`, because the trap that was there may ask for $?, and `set -e` holds in it as it did.
_BASH = (
    _TELL
    + b"""\
_jobmon_keep() { _jobmon_status=$1; return "$1"; }
_jobmon_exit() {
case $2 in
"exit "*'$('*|"exit "*'`'*|"exit "*"<"*|"exit "*">"*) ;;
exit|'exit '*) _jobmon_tell "$1" ;;
*) case $-$_jobmon_failed in *=130) ;; *e*=$1) _jobmon_tell "$1" ;; esac ;;
esac
}
_jobmon_failed=
_jobmon_old=$(trap -p EXIT)
if [ -z "$(trap -p ERR)" ]; then trap 'case $- in *e*) _jobmon_failed="=$?" ;; esac' ERR; fi
if [ -n "$_jobmon_old" ]; then
eval "_jobmon_words=($_jobmon_old)"
_jobmon_old=${_jobmon_words[2]}
fi
trap 'if _jobmon_keep "$?"; then eval "$_jobmon_old"; else eval "$_jobmon_old"; fi
_jobmon_exit "$_jobmon_status" "$BASH_COMMAND"' EXIT
"""
)


def code(uuid: bytes, log: bytes, trap: bytes, tells_exits_alone: bool) -> bytes:
    """What the shell shall evaluate.

    Args:
        uuid: of the job.
        log: path of its file for progress lines.
        trap: path of the directory for its status; empty if there is none.
        tells_exits_alone: the shell does not run an EXIT trap when it dies of a signal.
    """
    lines: "List[bytes]" = [
        b"JOBMON_JOB_ID=%s; JOBMON_LOG=%s; export JOBMON_JOB_ID JOBMON_LOG\n" % (quoted(uuid), quoted(log))
    ]
    if trap:
        lines.append(b"_jobmon_end=%s\n" % quoted(trap))
        if tells_exits_alone:
            lines.append(_PLAIN)
        else:
            lines.append(b'if [ -n "${BASH_VERSION-}" ]; then eval %s; fi\n' % quoted(_BASH))
    return b"".join(lines)


def quoted(word: bytes) -> bytes:
    """One word for any shell, whatever it holds."""
    return b"'" + word.replace(b"'", b"'\\''") + b"'"
