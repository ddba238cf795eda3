"""Writes action.yml and the tables of docs/action.md from the declarations that the action itself reads.

python tools/write_action_yml.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from onnx_export_action.entrypoints.github.inputs import INPUTS, OUTPUTS, Input, Output

ROOT = Path(__file__).parents[1]
ACTION, PAGE = ROOT / "action.yml", ROOT / "docs" / "action.md"
SOURCE = "src/onnx_export_action/entrypoints/github/inputs.py"
HEADER = f"# Written by tools/write_action_yml.py from {SOURCE}: change it there.\n"
MARKS = {"inputs": INPUTS, "outputs": OUTPUTS}


def action_yml() -> str:
    """The whole file."""
    content = {
        "name": "ONNX export",
        "description": "Exports the Hugging Face models of a repository to ONNX, proves the files, reports on the pull "
        "request and publishes them on release.",
        "author": "onnx-export-action",
        "branding": {"icon": "check-circle", "color": "blue"},
        "inputs": {one.name: _input(one) for one in INPUTS},
        "outputs": {one.name: {"description": one.description} for one in OUTPUTS},
        "runs": {"using": "docker", "image": "Dockerfile"},
    }
    return HEADER + yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)


def _input(one: Input) -> dict[str, str | bool]:
    return {"description": one.description, "required": False, "default": str(one.default)}


def table(declared: tuple[Input, ...] | tuple[Output, ...]) -> str:
    """The declarations as a Markdown table."""
    return "\n".join(_rows(declared))


def _rows(declared: tuple[Input, ...] | tuple[Output, ...]) -> Iterator[str]:
    if isinstance(declared[0], Input):
        yield "| Input | Default | Meaning |"
        yield "|---|---|---|"
        for one in declared:
            assert isinstance(one, Input)
            default = f"`{one.default}`" if one.default else ""
            values = f" Values: {', '.join(f'`{choice}`' for choice in one.choices)}." if one.choices else ""
            yield f"| `{one.name}` | {default} | {one.description}{values} |"
    else:
        yield "| Output | Meaning |"
        yield "|---|---|"
        for output in declared:
            yield f"| `{output.name}` | {output.description} |"


def with_tables(page: str) -> str:
    """The page with its tables between markers written again."""
    for name, declared in MARKS.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = page.partition(start)
        _, _, after = rest.partition(end)
        page = f"{before}{start}\n{table(declared)}\n\n{end}{after}"
    return page


def main() -> None:
    """Write both files."""
    ACTION.write_text(action_yml(), encoding="utf-8")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
