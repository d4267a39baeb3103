"""``jobmon completion``: what shells need to complete the command line.

Made from the tree of commands itself, so that it is never older.  Job ids are
asked for with a short ``jobmon jobs``.
"""

import argparse

from jobmon_console.cli import screen
from jobmon_console.cli.commands import COMMANDS, PASSED_ON
from jobmon_wire import answers

SHELLS = ("bash", "zsh", "fish")
_IDS = "jobmon jobs --columns id --no-header --timeout 2 2>/dev/null"

_BASH = """\
_jobmon() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --context|--credential|--server|--cert|--key|--ca|--timeout) ((i++)) ;;
            -*) ;;
            *) command=${COMP_WORDS[i]}; break ;;
        esac
    done
    case $before in
        --context) COMPREPLY=($(compgen -W "$(jobmon config list --names 2>/dev/null)" -- "$word")); return ;;
        --credential|--cert|--key|--ca|--out|--config|--site) COMPREPLY=($(compgen -f -- "$word")); return ;;
    esac
    case $command in
        "") COMPREPLY=($(compgen -W "@COMMANDS@ @GLOBAL@" -- "$word")) ;;
@CASES@
    esac
}
complete -o default -F _jobmon jobmon
"""
_ZSH = """\
#compdef jobmon
autoload -U +X bashcompinit && bashcompinit
@BASH@"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("shell", choices=SHELLS, help="whose completion to print")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    screen.put({"bash": bash, "zsh": zsh, "fish": fish}[arguments.shell]().rstrip("\n"))
    return answers.DONE


def bash() -> str:
    """Completion for bash."""
    options = _options()
    cases = []
    for name, command in COMMANDS.items():
        ids = f" $({_IDS})" if command.takes_job else ""
        words = " ".join(_choices(name) + options[name])
        cases.append(f'        {name}) COMPREPLY=($(compgen -W "{words}{ids}" -- "$word")) ;;')
    return (
        _BASH.replace("@COMMANDS@", " ".join(COMMANDS))
        .replace("@GLOBAL@", " ".join(options[""]))
        .replace("@CASES@", "\n".join(cases))
    )


def zsh() -> str:
    """Completion for zsh, which reads bash's."""
    return _ZSH.replace("@BASH@", bash())


def fish() -> str:
    """Completion for fish."""
    lines = ["complete -c jobmon -f"]
    for name, command in COMMANDS.items():
        lines.append(f"complete -c jobmon -n __fish_use_subcommand -a {name} -d {_quoted(command.summary)}")
        seen = f"'__fish_seen_subcommand_from {name}'"
        for option, text, takes_value in _described(name):
            kind = "-l " + option[2:] if option.startswith("--") else "-s " + option[1:]
            lines.append(f"complete -c jobmon -n {seen} {kind}{' -r -F' if takes_value else ''} -d {_quoted(text)}")
        if _choices(name):
            lines.append(f"complete -c jobmon -n {seen} -a {_quoted(' '.join(_choices(name)))}")
        if command.takes_job:
            lines.append(f"complete -c jobmon -n {seen} -a {_quoted('(' + _IDS + ')')}")
    return "\n".join(lines) + "\n"


def _actions(name: str) -> list[argparse.Action]:
    # Imported here: the parser's tree is only needed when a script is made.
    from jobmon_console.cli.parser import build_parser

    parser = build_parser()
    if name:
        found = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        parser = found.choices[name]
        if name not in PASSED_ON:
            parser.fill()
    return parser._actions


def _options() -> dict[str, list[str]]:
    return {name: [option for action in _actions(name) for option in action.option_strings] for name in ("", *COMMANDS)}


def _described(name: str) -> list[tuple[str, str, bool]]:
    return [
        (option, (action.help or "").replace("%%", "%"), action.nargs != 0)
        for action in _actions(name)
        for option in action.option_strings
    ]


def _choices(name: str) -> list[str]:
    return [
        str(choice)
        for action in _actions(name)
        if not action.option_strings and action.choices is not None
        for choice in action.choices
    ]


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
