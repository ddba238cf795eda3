"""Writes docs/hooks.md: the hooks and their rules, from the table that the hooks themselves use.

python tools/write_hooks_page.py
"""

from __future__ import annotations

from pathlib import Path

from onnx_export_hooks.rules import (
    CONFIG_HOOK,
    CURRENT_HOOK,
    MODEL_HOOK,
    ONNX_HOOK,
    SAFETENSORS_HOOK,
    VALIDATE_HOOK,
    Rule,
    rules_of,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "hooks.md"
HEAD = """\
<!-- Written by tools/write_hooks_page.py from the rules themselves: change them there. -->
# The hooks

They stop a bad model change at the commit: without torch, without the network, in a fraction of a second. In
`.pre-commit-config.yaml`:

```yaml
repos:
- repo: https://github.com/org/onnx-export-action
  rev: v0.1.0
  hooks:
  - id: check-onnx-export-config
  - id: check-model-config
  - id: check-safetensors
  - id: check-onnx-files
  - id: check-export-is-current
  - id: validate-onnx-export    # at git push, and by hand: needs torch
```

Every hook is also a command: `check-model-config models/` looks at a folder, `check-model-config FILE...` at files.
Each prints `file:line:column: message [rule]` and exits with 0 (nothing found), 1 (findings) or 2 (misuse).

| Option | |
|---|---|
| `--format github` | print annotations for GitHub Actions |
| `--explain RULE` | say what a rule is for, with examples |
| `--fix` | repair what has only one right form (`check-model-config`) |
| `--config FILE` | another file than `onnx-export.yaml` |

## Leaving findings out

In `onnx-export.yaml`, by rule, for the paths that match a pattern. `*` stands for any text, `/` too; paths are
relative to the file's folder.

```yaml
hooks:
  ignore:
    pickle-weights: ["models/old/*"]
    target-model: ["*"]         # the weights are fetched by a workflow
```

## Cost

A new virtual environment with the base install takes 48 MiB, pip included; a test holds pre-commit's own below 60 MiB.
Whole processes in a repository of 200 models, medians of 9 on 2 cores (`python benchmarks/time_hooks.py`):

| Hook | one changed file | all of 200 models |
|---|---|---|
| check-onnx-export-config | 0.18 s | 0.19 s |
| check-model-config | 0.17 s | 0.44 s |
| check-safetensors | 0.07 s | 0.19 s |
| check-onnx-files | 0.08 s | 0.19 s |
| check-export-is-current | 0.15 s | 0.24 s |

## Git LFS

A file that is a Git LFS pointer is taken for what it stands for: its hash is compared, its content is not looked at.
"""
HOOKS = {
    CONFIG_HOOK: "`onnx-export.yaml`: its format, and what it says of the models it names.",
    MODEL_HOOK: "`config.json`, tokenizer and processor files, each alone and against each other, as transformers "
    "reads them: other names and defaults of each model type are known. A `config.json` that is not a model's is left "
    "alone.",
    SAFETENSORS_HOOK: "Weight files by their headers: the weights themselves are not read.",
    ONNX_HOOK: "Committed ONNX files, alone and against the `manifest.json` of their export. Operator sets 7 to 26 and "
    "the domains `ai.onnx`, `ai.onnx.ml` and `com.microsoft` are accepted; `--min-opset`, `--max-opset`, "
    "`--allow-domain` and `--max-size MIB` change that. `args: [--full-check]` with `additional_dependencies: [onnx]` "
    "also runs onnx's checker.",
    CURRENT_HOOK: "The manifest of each committed export against the configuration, weights and settings of now.",
    VALIDATE_HOOK: "The export and validation of the targets whose files changed, at `git push`. It runs in your own "
    "environment (`pip install 'onnx-export-action[export]'`) and leaves your files as they are.",
}


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_hook(name, words) for name, words in HOOKS.items())


def _hook(name: str, words: str) -> str:
    return f"\n## {name}\n\n{words}\n" + "".join(map(_rule, rules_of(name)))


def _rule(rule: Rule) -> str:
    fixable = " `--fix` repairs it." if rule.fixable else ""
    example = f"```text\nbad:  {_lines(rule.bad)}\ngood: {_lines(rule.good)}\n```"
    return f"\n### {rule.name}\n\n{rule.reason}{fixable}\n\n{example}\n"


def _lines(text: str) -> str:
    return text.replace("\n", "\n      ")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
