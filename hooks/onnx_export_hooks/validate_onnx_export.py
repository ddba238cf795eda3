"""validate-onnx-export: export and prove the targets that changed, in an environment that has torch.

Runs `onnx-export run` in a process of its own, into a temporary folder: the repository's files stay as they are.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from onnx_export_action.project.settings import SettingsError, Target, load_settings
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.names.file_names import SETTINGS_NAME
from onnx_export_action.vocabulary.results import ExitCode, Failure, Stage, TargetResult, Verdict, read_result
from onnx_export_hooks.command import Hook, run_hook
from onnx_export_hooks.findings import Finding, finding, from_problem
from onnx_export_hooks.repository import Repository
from onnx_export_hooks.rules import VALIDATE_HOOK

# -P: nothing is imported from the working directory, which is the repository that is checked.
ONNX_EXPORT = (sys.executable, "-P", "-m", "onnx_export_action")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the hook on the files named in ``argv``."""
    return run_hook(HOOK, argv)


def check(files: list[Path], repository: Repository, options: argparse.Namespace) -> Iterator[Finding]:
    """The targets that the files belong to; all of them where the settings changed."""
    if not repository.settings_path.exists():
        raise plan_error(f"there is no {repository.settings_path}")
    try:
        targets = load_settings(repository.settings_path).targets
    except SettingsError as error:
        yield from (from_problem(problem, "settings") for problem in error.problems)
        return
    changed = [path.resolve() for path in files]
    if repository.settings_path.resolve() not in changed:
        targets = [target for target in targets if _is_changed(target, changed)]
    if targets:
        with tempfile.TemporaryDirectory(prefix="validate-onnx-export-") as folder:
            yield from _run(targets, repository.settings_path, Path(folder), options)


def _is_changed(target: Target, changed: list[Path]) -> bool:
    folder, code = target.folder, target.options.declaration.configuration_class
    if code is not None and code.file in changed:
        return True
    return target.options.samples in changed or (
        folder is not None and any(path.is_relative_to(folder) for path in changed)
    )


def _run(targets: list[Target], settings_path: Path, folder: Path, options: argparse.Namespace) -> Iterator[Finding]:
    chosen = [word for target in targets for word in ("--target", target.name)]
    call = ["run", "--config", str(settings_path), "--output", str(folder), *chosen]
    if options.trust_remote_code:
        call.append("--trust-remote-code")
    # The report is not ours to print: our stdout carries findings alone. Progress goes to stderr as it comes.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([*ONNX_EXPORT, *call], stdout=subprocess.DEVNULL, env=environment, check=False)
    if done.returncode == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    for target in targets:
        yield from _judged(target, folder, settings_path, done.returncode)


def _judged(target: Target, folder: Path, settings_path: Path, code: int) -> Iterator[Finding]:
    place = (target.line, 1)
    try:
        result = read_result(folder / f"{target.name}.result.json")
    except (OSError, ValueError):
        message = f"{target.name} was not exported: onnx-export ended with exit code {code}"
        yield finding(settings_path, place, "export-failed", message)
        return
    if result.verdict is not Verdict.PASS:
        for failure in _failures(result):
            yield finding(settings_path, place, "export-failed", f"{target.name}: {failure.message}", failure.hint)


def _failures(result: TargetResult) -> list[Failure]:
    """Why the target did not pass; at least one."""
    files = [file.failure for file in result.files if file.verdict is not Verdict.PASS]
    found = [failure for failure in (result.failure, *files) if failure is not None]
    return found or [Failure(stage=Stage.VALIDATE, message=f"the verdict is {result.verdict}")]


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trust-remote-code", action="store_true", help="run Python code from the models' folders")


HOOK = Hook(
    name=VALIDATE_HOOK,
    description="Export the targets that changed and prove their ONNX files against PyTorch. Needs torch.",
    accepts=lambda path: path.name == SETTINGS_NAME,
    check=check,
    add_options=_add_options,
)
