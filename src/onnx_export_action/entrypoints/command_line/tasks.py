"""``onnx-export tasks``."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("model_type", required=False)
@click.option(
    "--format",
    "table_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Format of the answer.",
)
def tasks(model_type: str | None, table_format: str) -> None:
    """List the tasks of MODEL_TYPE, or of every model type."""
    from onnx_export_action.onnx_config.registry import TasksManager

    model_types = [model_type] if model_type else TasksManager.get_supported_model_types()
    table = {name: list(TasksManager.get_supported_tasks_for_model_type(name)) for name in sorted(model_types)}
    if table_format == "json":
        click.echo(json.dumps(table, indent=2))
    elif model_type:
        click.echo("\n".join(table[model_type]))
    else:
        width = max(map(len, table))
        click.echo("\n".join(f"{name:<{width}}  {', '.join(found)}" for name, found in table.items()))
