"""Makes action.yml use a built image instead of building one: python tools/pin_image.py docker://NAME@sha256:DIGEST."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ACTION = Path(__file__).parents[1] / "action.yml"
BUILT_HERE = re.compile(r"^( +image: )['\"]?Dockerfile['\"]?[ \t]*$", re.MULTILINE)
BY_DIGEST = re.compile(r"docker://[a-z0-9./_-]+@sha256:[0-9a-f]{64}")


def pinned(action: str, image: str) -> str:
    """The text of action.yml with ``image`` in place of the Dockerfile.

    Raises:
        ValueError: the image is not named by a digest, or the text does not build a Dockerfile.
    """
    if not BY_DIGEST.fullmatch(image):
        message = f"not an image by its digest: {image!r}"
        raise ValueError(message)
    text, count = BUILT_HERE.subn(rf"\g<1>{image}", action)
    if count != 1:
        message = "action.yml has no line `image: Dockerfile`"
        raise ValueError(message)
    return text


def main() -> None:
    """Rewrite action.yml."""
    ACTION.write_text(pinned(ACTION.read_text(encoding="utf-8"), sys.argv[1]), encoding="utf-8")


if __name__ == "__main__":
    main()
