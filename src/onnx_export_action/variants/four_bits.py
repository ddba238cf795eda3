"""q4, q4f16, bnb4: 4-bit weights of products, in blocks that share a scale.

q4 has 16 even levels around zero; q4f16 has the rest in float16 like fp16; bnb4 has the levels of NormalFloat
(https://arxiv.org/abs/2305.14314).
"""

from __future__ import annotations

import onnx
from onnxruntime.quantization.matmul_bnb4_quantizer import MatMulBnb4Quantizer
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.onnx_model import ONNXModel

from onnx_export_action.variants.float16 import in_float16
from onnx_export_action.variants.source import Fp32File
from onnx_export_action.vocabulary.variants import Variant


def make_q4(source: Fp32File, variant: Variant) -> onnx.ModelProto:
    """Even levels around zero."""
    kept = source.kept
    quantizer = MatMulNBitsQuantizer(
        _products_only(source), bits=4, block_size=variant.block_size, is_symmetric=True, nodes_to_exclude=kept
    )
    quantizer.process()
    made: onnx.ModelProto = quantizer.model.model
    return made


def make_q4f16(source: Fp32File, variant: Variant) -> onnx.ModelProto:
    """The same, and all else in float16."""
    return in_float16(make_q4(source, variant), source.kept, half_cache=variant.half_cache)


def make_bnb4(source: Fp32File, variant: Variant) -> onnx.ModelProto:
    """Levels of NormalFloat."""
    kept = source.kept
    quantizer = MatMulBnb4Quantizer(
        _products_only(source), MatMulBnb4Quantizer.NF4, variant.block_size, nodes_to_exclude=kept
    )
    quantizer.process()
    made: onnx.ModelProto = quantizer.model.model
    return made


def _products_only(source: Fp32File) -> onnx.ModelProto:
    """With a MatMul and an Add for each Gemm: the 4-bit tools pass over a Gemm, which all of GPT-2's layers are."""
    wrapped = ONNXModel(source.model)
    wrapped.replace_gemm_with_matmul()
    return source.model
