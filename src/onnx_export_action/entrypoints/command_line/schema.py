"""``onnx-export schema``."""

from __future__ import annotations

import json

import click

from onnx_export_action.vocabulary.results import result_schema


@click.command()
@click.argument("what", type=click.Choice(["config", "result", "manifest"]))
def schema(what: str) -> None:
    """Print the JSON Schema of onnx-export.yaml, result.json or manifest.json."""
    from onnx_export_action.project.manifest import manifest_schema
    from onnx_export_action.project.settings.schema import settings_schema

    schemas = {"config": settings_schema, "result": result_schema, "manifest": manifest_schema}
    click.echo(json.dumps(schemas[what](), indent=2))
