"""Calls that are rewritten while a model is traced: what torch itself gives, traced at one size and run at others."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.integration.test_symbolics import Inputs, assert_traced_right

Compute = Callable[..., torch.Tensor]
ROW = torch.tensor([[0, 2]])


def truth_in_place(values: torch.Tensor) -> torch.Tensor:
    return values.gt(0).clone().scatter_(-1, ROW.expand(values.shape[0], 2), True)


TRUTH_VALUES: dict[str, Compute] = {
    "scatter": lambda values: values.gt(0).scatter(-1, ROW.expand(values.shape[0], 2), False),
    "scatter_": truth_in_place,
    "full_like": lambda values: torch.full_like(values, True),
    "full": lambda values: torch.full((values.shape[0], 2), True) & values[:, :2].gt(0),
    "full of whole numbers": lambda values: torch.full(size=(values.shape[0], 2), fill_value=3) + values[:, :2].long(),
    "new_full": lambda values: values.new_full((values.shape[0], 2), True),
    "masked_fill": lambda values: values.gt(0).masked_fill(values > 1, False),
    "index_fill": lambda values: values.gt(0).index_fill(1, torch.tensor([1]), True),
    "eye": lambda values: torch.eye(values.shape[0], values.shape[0], dtype=torch.bool)[:, :1] | values.gt(0),
    "or of numbers": lambda values: values.gt(0) | values.int(),
    "where": lambda values: torch.where(values > 0, True, values < -1),
    "where of two": lambda values: torch.where(values > 0, False, True),
}


@pytest.mark.parametrize("name", TRUTH_VALUES)
def test_truth_values_where_a_number_may_stand(name: str, tmp_path: Path) -> None:
    inputs = (torch.randn(3, 4),), (torch.randn(5, 4),)
    assert_traced_right(TRUTH_VALUES[name], *inputs, path=tmp_path / "file.onnx", axes=(0,), opset=18)


def rotated(values: torch.Tensor) -> torch.Tensor:
    """As Llama 4 turns its queries."""
    pairs = torch.view_as_complex(values.reshape(*values.shape[:-1], -1, 2))
    angles = torch.arange(values.shape[1])[:, None] * torch.tensor([1.0, 0.1])
    turns = torch.polar(torch.ones_like(angles), angles) * 0.5
    return torch.view_as_real(pairs * turns[None].unsqueeze(0).to(values.device)[0]).flatten(2)


def turned_by_a_buffer(values: torch.Tensor) -> torch.Tensor:
    pairs = torch.view_as_complex(values.reshape(*values.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * torch.tensor([1 + 2j, 3 - 1j]).conj()).flatten(2)


def correlated(values: torch.Tensor) -> torch.Tensor:
    """As Autoformer finds periods."""
    length = values.shape[1]
    one = torch.fft.rfft(values, n=length, dim=1)
    other = torch.fft.rfft(values.flip(1), n=length, dim=1)
    return torch.fft.irfft(one * torch.conj(other), n=length, dim=1)


TRANSFORMS: dict[str, Compute] = {
    "rotation": rotated,
    "buffer": turned_by_a_buffer,
    "fftn": lambda values: torch.fft.fftn(values, dim=(1, 2)).real,
    "fft twice": lambda values: torch.fft.fft(torch.fft.fft(values, dim=-1), dim=-2, norm="ortho").imag,
    "padded": lambda values: torch.fft.fft(values, n=6).real,
    "cut": lambda values: torch.fft.rfft(values, n=3).imag,
    "correlation": correlated,
    "inverse": lambda values: torch.fft.irfft(torch.polar(values.abs(), values), norm="forward"),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_complex_numbers(name: str, tmp_path: Path) -> None:
    inputs = [(torch.randn(2, length, 4),) for length in (6, 1, 9)]
    assert_traced_right(TRANSFORMS[name], *inputs, path=tmp_path / "file.onnx", axes=(0, 1), opset=18)


RUNNING: dict[str, Compute] = {
    "cummax": lambda values: torch.cummax(values, dim=1)[0],
    "cummax along the first axis": lambda values: values.cummax(0).values,
    "where it is": lambda values: torch.cummax(values, dim=-1).indices,
    "cummin": lambda values: torch.flip(torch.cummin(torch.flip(values, dims=[1]), dim=1)[0], dims=[1]),
}


@pytest.mark.parametrize("name", RUNNING)
@pytest.mark.parametrize("whole", [True, False])
def test_the_largest_so_far(name: str, whole: bool, tmp_path: Path) -> None:
    def values(*shape: int) -> Inputs:
        return (torch.randint(0, 5, shape) if whole else torch.randn(shape),)

    inputs = values(3, 5), values(2, 1), values(4, 9)
    assert_traced_right(RUNNING[name], *inputs, path=tmp_path / "file.onnx", axes=(0, 1), opset=18)


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("reduce", ["sum", "mean", "amax", "amin", "prod"])
def test_values_reduced_where_an_index_sends_them(reduce: str, include_self: bool, tmp_path: Path) -> None:
    def compute(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        before = torch.full((7,), 0.5)
        return before.scatter_reduce(dim=0, index=index, src=values, reduce=reduce, include_self=include_self)

    def inputs(length: int) -> Inputs:
        return torch.randn(length), torch.randint(0, 6, (length,))

    assert_traced_right(compute, inputs(4), inputs(13), path=tmp_path / "file.onnx", axes=(0,), opset=18)


def test_a_row_written_wherever_a_mask_is_true(tmp_path: Path) -> None:
    def compute(values: torch.Tensor) -> torch.Tensor:
        marked = values.clone()
        marked[values[..., 0] > 0] = torch.arange(4.0)
        return marked

    inputs = (torch.randn(2, 3, 4),), (torch.randn(1, 9, 4),)
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0, 1), opset=18)


def test_experts_in_turn_that_some_token_chose(tmp_path: Path) -> None:
    """As mixtures of experts loop in Python over those that were hit, whichever these are."""
    weights = torch.randn(4, 3)

    def compute(values: torch.Tensor) -> torch.Tensor:
        chosen = torch.nn.functional.one_hot(values.abs().long() % 4, num_classes=4)
        total = torch.zeros(values.shape[0], 3)
        for expert in chosen.sum(0).gt(0).nonzero():
            (tokens,) = torch.where(chosen[:, expert[0]])
            total.index_add_(0, tokens, values[tokens, None] * weights[expert[0]])
        return total

    inputs = (torch.tensor([0.5, 0.7]),), (torch.tensor([3.1, 2.2, 1.5, 0.1, 3.9]),)
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0,), opset=18)


def test_parts_as_long_as_the_input_says(tmp_path: Path) -> None:
    weights = torch.randn(3, 4, 4)

    def compute(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        lengths = torch.nn.functional.one_hot(index, num_classes=3).sum(0).tolist()
        parts = values.split(lengths, dim=0)
        return torch.cat([part @ weight for part, weight in zip(parts, weights, strict=True)])

    inputs = [(torch.randn(rows, 4), torch.randint(0, 3, (rows,))) for rows in (5, 1, 9)]
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0,), opset=18)


def test_an_index_that_is_added_to_twice(tmp_path: Path) -> None:
    def compute(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return torch.ones(2, 3).index_add(1, index, values.T, alpha=0.5)

    inputs = [(torch.randn(rows, 2), torch.randint(0, 3, (rows,))) for rows in (4, 1, 7)]
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0,), opset=18)


def test_repeated_as_often_as_a_length_says(tmp_path: Path) -> None:
    def compute(values: torch.Tensor) -> torch.Tensor:
        return torch.repeat_interleave(values[:, -1:], repeats=values.shape[1] % 4 + 1, dim=-2)

    inputs = [(torch.randn(2, length, 3),) for length in (5, 3, 8)]
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0, 1), opset=18)


def test_a_part_of_no_size(tmp_path: Path) -> None:
    def compute(values: torch.Tensor) -> torch.Tensor:
        empty, rest = values.split([0, 4], dim=-1)
        return torch.cat((empty.view(values.shape[0], 1, values.shape[1], 0), rest.unsqueeze(1)), dim=-1)

    inputs = (torch.randn(2, 5, 4),), (torch.randn(1, 3, 4),)
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0, 1), opset=18)


@pytest.mark.parametrize("join", [torch.cat, torch.stack])
def test_rows_put_in_a_list_and_together_again(join: Compute, tmp_path: Path) -> None:
    def compute(values: torch.Tensor) -> torch.Tensor:
        return join(list(values * 2), axis=0) + join(list(values), 0) + join(list(values))

    inputs = [(torch.randn(rows, 3, 4),) for rows in (2, 1, 5)]
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0, 1), opset=18)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), [((2, 3), (2, 3), 0, 1), ((1, 4), (1, 2), 0, 1), (3, 2, 1, (1, 2))]
)
def test_parts_folded_into_an_image_of_any_size(
    kernel: object, stride: object, padding: int, dilation: object, tmp_path: Path
) -> None:
    window = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}

    def compute(image: torch.Tensor) -> torch.Tensor:
        parts = torch.nn.functional.unfold(image, **window)
        return torch.nn.functional.fold(parts * 2, image.shape[-2:], **window)

    inputs = [(torch.randn(batch, 2, *sides),) for batch, sides in ((2, (6, 9)), (1, (8, 12)), (3, (7, 10)))]
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0, 2, 3), opset=18)


def test_attention_with_fewer_heads_of_keys(tmp_path: Path) -> None:
    def compute(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.scaled_dot_product_attention(query, key, key + 1, is_causal=True, enable_gqa=True)

    inputs = [(torch.randn(batch, 4, 6, 8), torch.randn(batch, 2, 6, 8)) for batch in (2, 1, 3)]
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0, 2), opset=18)


def test_arguments_by_whatever_name(tmp_path: Path) -> None:
    def compute(values: torch.Tensor) -> torch.Tensor:
        first, second = values.split(split_size=2, dim=-1)
        third, fourth = torch.split(values, [1, 3], -1)
        repeated = torch.repeat_interleave(input=values, repeats=torch.tensor([1, 2, 1, 1]), dim=1)
        filled = torch.full(size=(values.shape[0], 1), fill_value=2.0)
        sums = torch.cummax(input=values, dim=1)[0] + torch.where(values > 0, input=values, other=-values)
        return torch.cat(tensors=(first, second, third, fourth, repeated, filled, sums), dim=1)

    inputs = (torch.randn(2, 4),), (torch.randn(5, 4),)
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0,), opset=18)
