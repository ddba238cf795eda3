"""Adds items to a list in a YAML text and keeps every other character, comments and line breaks included."""

from __future__ import annotations

import yaml


def with_items(text: str, key: str, items: list[list[str]]) -> str | None:
    """``text`` with items, each its lines, behind those of the block sequence ``key`` of the top mapping.

    None where the text is laid out in another way (flow style, no such key), or would mean something else after.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    pairs = root.value if isinstance(root, yaml.MappingNode) and not root.flow_style else []
    sequence = next((value for name, value in pairs if name.value == key), None)
    if not isinstance(sequence, yaml.SequenceNode) or sequence.flow_style:
        return None
    lines = text.splitlines(keepends=True)
    end = max(sequence.end_mark.line, sequence.value[-1].start_mark.line + 1)
    if sequence.end_mark.column:  # the document ends without a line break
        end = len(lines)
    while lines[end - 1].lstrip().startswith("#") or not lines[end - 1].strip():
        end -= 1
    newline = "\r\n" if lines[0].endswith("\r\n") else "\n"
    added = [f"{' ' * sequence.start_mark.column}{line}{newline}" for item in items for line in item]
    if not lines[end - 1].endswith("\n"):
        lines[end - 1] += newline
    after = "".join([*lines[:end], *added, *lines[end:]])
    return after if _says(after, text, key, items) else None


def _says(after: str, before: str, key: str, items: list[list[str]]) -> bool:
    """Whether the new text means the old one with the items behind."""
    try:
        wanted, got = yaml.safe_load(before), yaml.safe_load(after)
    except yaml.YAMLError:
        return False
    wanted[key] = wanted[key] + yaml.safe_load("\n".join(line for item in items for line in item))
    return bool(got == wanted)
