"""The page docs/variants.md: size, time and quality of every variant of MiniLM, a trained model, on real sentences.

python -m benchmarks.variants
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from examples.demo.prepare import DESTINATION as MINILM

from onnx_export_action.pipeline.running import export_and_check
from onnx_export_action.report.tables import row_of
from onnx_export_action.report.variants import VARIANTS_TABLE, variant_rows
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.options import ExportOptions
from onnx_export_action.vocabulary.results import TargetResult
from onnx_export_action.vocabulary.variants import VARIANTS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "variants.md"
SENTENCES = ROOT / "benchmarks" / "sentences.txt"
TABLE = "<!-- table -->\n"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="onnx-export-variants-") as folder:
        request = Request(
            name="minilm",
            model=str(MINILM),
            destination=Path(folder) / "minilm",
            task="feature-extraction",
            options=ExportOptions(samples=SENTENCES, variants=tuple(VARIANTS)),
        )
        result = export_and_check(request, progress=lambda text: print(text, file=sys.stderr))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(TABLE)
    _, _, after = rest.partition(TABLE)
    PAGE.write_text(before + TABLE + "".join(f"{line}\n" for line in table(result)) + TABLE + after, encoding="utf-8")
    return 0 if result.verdict == "pass" else 1


def table(result: TargetResult) -> Iterator[str]:
    count = len(SENTENCES.read_text(encoding="utf-8").splitlines())
    packages = ", ".join(f"{name} {result.packages[name]}" for name in ("onnxruntime", "torch", "transformers"))
    yield f"{count} sentences and the grid of shapes; {packages}; {os.cpu_count()} cores, {platform.machine()}."
    yield ""
    yield from VARIANTS_TABLE.markdown.splitlines()
    yield from map(row_of, variant_rows(result))


if __name__ == "__main__":
    sys.exit(main())
