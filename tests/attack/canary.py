"""Files that tell when they are run: every name that something might import or start, at the root of a repository."""

from __future__ import annotations

import importlib.metadata
import sys
from dataclasses import dataclass
from pathlib import Path

# What transformers, torch, diffusers and huggingface_hub look for and these environments need not have.
OPTIONAL_MODULES = frozenset(
    """
    accelerate av bitsandbytes boto3 cv2 dask datasets decord deepspeed detectron2 einops faiss fairscale flash_attn
    flax fsspec ftfy g2p_en gguf google habana_frameworks hqq hf_transfer hf_xet ipadic ipywidgets jax jieba jinja2
    kenlm kernels keras librosa levenshtein liger_kernel mambapy mlx mpmath natten ninja nltk numba onnx_ir optimum
    pandas peft phonemizer pretty_midi prometheus_client protobuf psutil py3nvml pyctcdecode pycocotools pygments
    pytesseract pytest quanto rhoknp rich sacremoses sagemaker scann scipy sentencepiece sklearn soundfile soxr
    spacy sudachipy tensorboard tensorflow tiktoken timm tokenizers torch_neuronx torch_npu torch_xla torchao
    torchaudio torchcodec torchvision triton tqdm unidic vptq xformers yt_dlp
    """.split()  # noqa: SIM905 - a list of a hundred lines says no more
)
# What Python itself imports before the first line of a program, wherever it finds it.
STARTUP_MODULES = frozenset({"encodings", "sitecustomize", "usercustomize"})
# What the tools beside us, or a library, might start by its bare name.
PROGRAMS = (
    "git",
    "git-lfs",
    "ldconfig",
    "gcc",
    "cc",
    "c++",
    "objdump",
    "uname",
    "sh",
    "lscpu",
    "nvidia-smi",
    "python3",
)


def module_names() -> frozenset[str]:
    """Every module of the standard library, every package of this environment, and what these would like to have."""
    installed = {name for name in importlib.metadata.packages_distributions() if name.isidentifier()}
    ours = {"onnx_export_action", "onnx_export_hooks", "tests"}
    return frozenset(sys.stdlib_module_names | installed | OPTIONAL_MODULES | STARTUP_MODULES) - ours


@dataclass(frozen=True)
class Canary:
    """Writes one line a run into ``log``, which lies outside the repository."""

    log: Path

    def ran(self) -> list[str]:
        return sorted(set(self.log.read_text().splitlines())) if self.log.exists() else []

    def python(self, name: str) -> str:
        """A module that says it was imported, and cannot be."""
        return (
            f"with open({str(self.log)!r}, 'a') as log:\n    log.write({name + chr(10)!r})\n"
            f"raise ImportError('this is not the {name} that was meant')\n"
        )

    def program(self, name: str) -> str:
        return f"#!/bin/sh\necho {name} >> '{self.log}'\nexit 1\n"

    def plant_modules(self, root: Path, names: frozenset[str], *, packages: bool) -> None:
        """Each name as a file or as a package."""
        for name in names:
            path = root / name / "__init__.py" if packages else root / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.python(f"{name} as a {'package' if packages else 'file'}"))

    def plant_programs(self, root: Path) -> None:
        """Programs, and files by which tools are configured to run code."""
        for name in PROGRAMS:
            path = root / name
            path.write_text(self.program(name))
            path.chmod(0o755)
        module = "canary_module"
        (root / f"{module}.py").write_text(self.python(module))
        (root / "startup.pth").write_text(f"import {module}\n")
        (root / "pyvenv.cfg").write_text("home = .\ninclude-system-site-packages = true\n")
        (root / "python311._pth").write_text(".\nimport site\n")
        (root / "matplotlibrc").write_text(f"backend: module://{module}\ntext.usetex: True\n")
