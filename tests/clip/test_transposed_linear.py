"""`TransposedLinear` equals `nn.Linear` for inputs of any shape."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from clip.speed.transposed_linear import MOST_ROWS, TransposedLinear, use_transposed_linear


def pair(inputs: int, outputs: int, bias: bool = True) -> tuple[nn.Linear, nn.Module]:
    """Return a layer, and a module with the same weights that uses `TransposedLinear`."""
    plain = nn.Linear(inputs, outputs, bias, dtype=torch.float64)
    other = nn.Sequential(nn.Linear(inputs, outputs, bias, dtype=torch.float64))
    other[0].load_state_dict(plain.state_dict())
    use_transposed_linear(other)
    return plain.requires_grad_(False), other.requires_grad_(False)


@settings(deadline=None)
@given(shape=st.lists(st.integers(1, 5), min_size=0, max_size=3), inputs=st.integers(1, 9), outputs=st.integers(1, 9))
def test_values_and_gradients(shape: list[int], inputs: int, outputs: int) -> None:
    plain, other = pair(inputs, outputs)
    x = torch.randn(*shape, inputs, dtype=torch.float64)
    grads = []
    for layer in (plain, other):
        leaf = x.clone().requires_grad_()
        y = layer(leaf)
        assert y.shape == (*shape, outputs)
        y.square().sum().backward()
        grads.append((y.detach(), leaf.grad))
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows, same", [(MOST_ROWS, False), (MOST_ROWS + 1, True)])
def test_many_rows_go_the_usual_way(rows: int, same: bool) -> None:
    """The layout of the output tells which order was used."""
    _, other = pair(3, 5)
    assert other(torch.randn(rows, 3, dtype=torch.float64)).is_contiguous() is same


def test_transposed_inputs_no_bias_and_other_layers() -> None:
    plain, other = pair(4, 6, bias=False)
    x = torch.randn(4, 7, dtype=torch.float64).t()
    torch.testing.assert_close(plain(x), other(x))
    plain, other = pair(4, 6)
    torch.testing.assert_close(plain(x), other(x))
    module = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    names = list(module.state_dict())
    use_transposed_linear(module)
    assert [type(layer) for layer in module] == [TransposedLinear, nn.LayerNorm]
    assert list(module.state_dict()) == names
