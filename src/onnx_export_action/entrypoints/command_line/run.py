"""``onnx-export run``."""

from __future__ import annotations

from pathlib import Path

import click

from onnx_export_action.entrypoints.command_line.exits import report_and_judge
from onnx_export_action.entrypoints.command_line.options import base_option, config_option, fail_on_option, result_in
from onnx_export_action.entrypoints.command_line.plan import planned_targets
from onnx_export_action.entrypoints.progress import progress_display
from onnx_export_action.vocabulary.results import ExitCode, FailOn


@click.command()
@config_option
@click.option("--target", "names", multiple=True, metavar="NAME", help="Only this target; may be repeated.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder of all artifacts, instead of each 'output'.")
@click.option("--changed-since", metavar="REF", help="Only targets that changed since this commit or branch.")
@click.option(
    "--trust-remote-code",
    is_flag=True,
    help="Run Python code from the models' repositories, and classes that onnx_config names.",
)
@base_option
@fail_on_option
def run(
    config_path: Path,
    names: tuple[str, ...],
    output: Path | None,
    changed_since: str | None,
    trust_remote_code: bool,
    base: tuple[Path, ...],
    fail_on: FailOn | None,
) -> ExitCode:
    """Export and prove every target of onnx-export.yaml; the report goes to stdout.

    Beside each artifact folder stands NAME.result.json.
    """
    from onnx_export_action.pipeline.running import run_target
    from onnx_export_action.report.plan import plan_headline

    before = [result_in(path) for path in base]
    targets, plan = planned_targets(config_path, names, changed_since)
    if not targets:
        click.echo(f"### {plan_headline(plan)}")
        return ExitCode.PASSED
    results = []
    with progress_display() as progress:
        for number, target in enumerate(targets, start=1):
            label = f"[{number}/{len(targets)}] {target.name}"
            shown = progress.labelled(label)
            result = run_target(target, output, config_path, trust_remote_code=trust_remote_code, progress=shown)
            results.append(result)
            progress.finished(label, result)
    return report_and_judge(results, before, fail_on)
