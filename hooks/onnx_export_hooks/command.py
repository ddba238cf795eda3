"""The command line that every hook shares: files to findings to an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.names.file_names import SETTINGS_NAME
from onnx_export_hooks.findings import Finding
from onnx_export_hooks.repository import Repository, files_below
from onnx_export_hooks.rules import RULES, rules_of

PASSED, FOUND, MISUSE = 0, 1, 2
MAX_FINDINGS = 1000

Check = Callable[[list[Path], Repository, argparse.Namespace], Iterable[Finding]]


def _nothing(_: argparse.ArgumentParser) -> None:
    """A hook without options of its own."""


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """One hook: which files of a folder it is for, what it finds in them, and what it can repair.

    ``fix`` repairs a file and says whether it changed it.
    """

    name: str
    description: str
    accepts: Callable[[Path], bool]
    check: Check
    fix: Callable[[Path], bool] | None = None
    add_options: Callable[[argparse.ArgumentParser], None] = _nothing


def run_hook(hook: Hook, argv: Sequence[str] | None = None) -> int:
    """Run a hook as a command: 0 nothing found, 1 findings, 2 misuse."""
    options = _parser(hook).parse_args(argv)
    if options.explain is not None:
        return _explain(options.explain)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # pytest's capture is no TextIOWrapper to mypy
    missing = [path for path in options.files if not path.exists() and not path.is_symlink()]
    if missing:
        return _misuse(f"there is no file {missing[0]}")
    try:
        found = _findings(hook, options)
    except ExportError as error:
        return _misuse(error.message)
    except OSError as error:
        return _misuse(f"{error.filename}: {error.strerror}")
    for one in found[:MAX_FINDINGS]:
        print(one.as_github() if options.format == "github" else one.as_text())  # noqa: T201 - the command's answer
    if len(found) > MAX_FINDINGS:
        print(f"... and {len(found) - MAX_FINDINGS} more", file=sys.stderr)  # noqa: T201 - the command's answer
    return FOUND if found else PASSED


def findings_of(hook: Hook, paths: Sequence[Path], settings_path: Path = Path(SETTINGS_NAME)) -> list[Finding]:
    """What a hook finds in files and folders, for callers that are no command line; ignored findings are left out.

    Raises:
        ExportError: the hook cannot run.
        OSError: a file cannot be read.
    """
    parser = _parser(hook)
    options = parser.parse_args(["--config", str(settings_path)])
    options.files = list(paths)
    return _findings(hook, options)


def _findings(hook: Hook, options: argparse.Namespace) -> list[Finding]:
    repository = Repository(options.config)
    files = _expanded(options.files, hook)
    if options.fix and hook.fix is not None:
        for path in files:
            if not repository.leads_out(path) and hook.fix(path):
                print(f"fixed {path}", file=sys.stderr)  # noqa: T201 - the command's progress
    found = sorted(set(hook.check(files, repository, options)))
    return [one for one in found if not repository.is_ignored(one)]


def _expanded(paths: list[Path], hook: Hook) -> list[Path]:
    """The files given, and those of the hook's kind in the folders given; each once."""
    files: list[Path] = []
    for path in paths:
        files += (file for file in files_below(path) if hook.accepts(file)) if path.is_dir() else [path]
    return list(dict.fromkeys(files))


def _parser(hook: Hook) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=hook.name, description=hook.description)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="files, or folders to search for them")
    parser.add_argument("--format", choices=("text", "github"), default="text", help="how findings are printed")
    names = ", ".join(rule.name for rule in rules_of(hook.name))
    parser.add_argument("--explain", metavar="RULE", choices=sorted(RULES), help=f"explain a rule: {names}")
    parser.add_argument("--config", type=Path, default=Path(SETTINGS_NAME), help=f"default: {SETTINGS_NAME}")
    if hook.fix is not None:
        parser.add_argument("--fix", action="store_true", help="repair what has only one right form")
    else:
        parser.set_defaults(fix=False)
    hook.add_options(parser)
    return parser


def _explain(name: str) -> int:
    print(RULES[name].explanation())  # noqa: T201 - the command's answer
    return PASSED


def _misuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201 - the command's answer
    return MISUSE
