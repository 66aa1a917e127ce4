"""coqui's HiFi-GAN generator as its convolutions, in the layout in which a processor runs them fastest.

coqui's class runs conv1d over [channels, steps]. Here the channels of a step lie side by side (channels last), as
`voicekit.convolutions` wants them; where it has nothing faster, the same steps run with conv1d.
The speaker only shifts biases, so these are made once for a voice. The mean over residual blocks is folded into the
next convolution: a leaky ReLU lets a positive factor through. Of a piece's context each stage drops what the later
ones do not see. This module knows tensors; what a latent is, and what a piece, it does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from voicekit.convolutions import Arithmetic, Convolution, arithmetic_for

if TYPE_CHECKING:
    import torch

SLOPE = 0.1  # of the leaky ReLUs but one:
LAST_SLOPE = 0.01  # before the last convolution coqui leaves torch's default

Affine = tuple["torch.Tensor", "torch.Tensor"]  # weight [out, in], bias [out]
LaidOut = Callable[[Convolution, Any], Convolution]  # a convolution of a module in the fastest way


@dataclass(frozen=True, eq=False)
class Upsampling:
    """A transposed convolution: an ordinary one makes the `factor` steps that come of one, side by side."""

    convolution: Convolution  # weight [factor x out, in, taps / factor]
    factor: int
    padding: int

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[1, in, steps] -> [1, out, factor x steps]."""
        side_by_side = self.convolution(x).transpose(1, 2)
        y = side_by_side.reshape(1, side_by_side.shape[1] * self.factor, -1)
        return y[:, self.padding : self.padding + x.shape[-1] * self.factor].transpose(1, 2)


Block = tuple[tuple[Convolution, ...], ...]  # residual steps: what a chain of convolutions makes is added to its input


@dataclass(frozen=True, eq=False)
class Stage:
    """An upsampling and the residual blocks that follow, whose results are summed.

    context: steps on each side of the input that a sample of the waveform depends on.
    """

    upsampling: Upsampling
    blocks: tuple[Block, ...]
    context: int

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[1, in, steps] -> [1, out, factor x steps]."""
        begun, total = self.upsampling(x), None
        for block in self.blocks:
            total = _add_block(block, begun, total)
        assert total is not None
        return total


def _add_block(block: Block, x: torch.Tensor, total: torch.Tensor | None) -> torch.Tensor:
    """Add what a block makes of x to the total, in place."""
    from torch.nn.functional import leaky_relu

    begun = x
    for number, (*inner, last) in enumerate(block):
        y = inner[0](x, SLOPE, before=SLOPE) if inner else leaky_relu(x, SLOPE)
        for convolution in inner[1:]:
            y = convolution(y, SLOPE)
        if total is not None and number == len(block) - 1:
            x = total.add_(x)
        x = last.add_to(x, y, copy=x is begun)
    return x


@dataclass(frozen=True, eq=False)
class Network:
    """The whole generator, with a speaker in its biases.

    context: frames on each side of the input that a sample depends on.
    """

    first: Convolution
    stages: tuple[Stage, ...]
    last: Convolution
    context: int

    def __call__(self, frames: torch.Tensor, before: int = 0, after: int = 0) -> torch.Tensor:
        """Frames [1, width, n] -> the samples of n - before - after of them.

        Args:
            frames: float32, on the parameters' device.
            before, after: so many frames at the ends are context and come without samples. Where there is none,
                the ends are those of the utterance: silence lies beyond.
        """
        import torch
        from torch.nn.functional import leaky_relu

        x = self.first(frames.transpose(1, 2).contiguous().transpose(1, 2), SLOPE)
        for stage in self.stages:
            x, before, after = _cut(x, before, after, stage.context)
            x = stage(x)
            x = leaky_relu(x, LAST_SLOPE if stage is self.stages[-1] else SLOPE, inplace=True)
            before, after = before * stage.upsampling.factor, after * stage.upsampling.factor
        x, before, after = _cut(x, before, after, self.last.padding)
        samples, _, _ = _cut(torch.tanh_(self.last(x)), before, after, 0)
        return samples.flatten()


def _cut(x: torch.Tensor, before: int, after: int, needed: int) -> tuple[torch.Tensor, int, int]:
    """Drop what is more context than needed; the tensor, and what it has left."""
    left, right = max(before - needed, 0), max(after - needed, 0)
    return x[..., left : x.shape[-1] - right], before - left, after - right


class Generator:
    """HiFi-GAN, ready to speak with any voice.

    Args:
        hifigan: coqui's `HifiDecoder`, weight norm folded, on the device on which it is to run.
        arithmetic: how convolutions are run; None: in the fastest way.
        given_back: is handed the parameters when they were copied and are not needed any more.

    Attributes:
        arithmetic: how convolutions are run; its text is for the log.
        stretches: factors by which latents are stretched to frames, one after the other.
        parameter_bytes: of coqui's parameters, as which they are counted wherever they lie.
    """

    def __init__(
        self, hifigan: Any, *, arithmetic: Arithmetic | None = None,
        given_back: Callable[[list[torch.Tensor]], None] = lambda _: None,
    ) -> None:  # fmt: skip
        coqui = hifigan.waveform_decoder
        self.arithmetic = arithmetic or arithmetic_for(coqui.conv_pre.weight)
        self._network = _network(coqui, _named(coqui, self.arithmetic))
        self._speakers = [_affine(coqui.cond_layer), *(_affine(each) for each in coqui.conds)]
        self.stretches: tuple[float, ...] = (hifigan.ar_mel_length_compression / hifigan.output_hop_length,)
        if hifigan.output_sample_rate != hifigan.input_sample_rate:
            self.stretches += (hifigan.output_sample_rate / hifigan.input_sample_rate,)
        parameters = [each.detach() for each in coqui.parameters()]
        self.parameter_bytes = sum(each.nbytes for each in parameters)
        if self.arithmetic.packs:
            given_back(parameters)

    def speaking(self, embedding: torch.Tensor) -> Network:
        """The network with a speaker (float32 [1, size, 1]) in its biases."""
        import torch

        first, *others = (torch.addmv(bias, weight, embedding.flatten()) for weight, bias in self._speakers)
        stages = zip(self._network.stages, others, strict=True)
        return replace(
            self._network,
            first=_shifted(self._network.first, first),
            stages=tuple(replace(stage, upsampling=_shifted_up(stage.upsampling, shift)) for stage, shift in stages),
        )


def _affine(module: Any) -> Affine:
    return module.weight.detach()[:, :, 0], module.bias.detach()


def _shifted(convolution: Convolution, shift: torch.Tensor) -> Convolution:
    return replace(convolution, bias=shift if convolution.bias is None else convolution.bias + shift)


def _shifted_up(upsampling: Upsampling, shift: torch.Tensor) -> Upsampling:
    return replace(upsampling, convolution=_shifted(upsampling.convolution, shift.repeat(upsampling.factor)))


# --- out of coqui's modules ----------------------------------------------------------------------------------


def _named(coqui: Any, arithmetic: Arithmetic) -> LaidOut:
    names = {module: name for name, module in coqui.named_modules()}
    return lambda convolution, module: arithmetic.lay_out(convolution, f"hifigan.{names[module]}")


def _network(coqui: Any, laid_out: LaidOut) -> Network:
    """coqui's `HifiganGenerator`; the means over residual blocks are folded into the weights behind them."""
    last = laid_out(_convolution(coqui.conv_post, coqui.num_kernels), coqui.conv_post)
    needed, stages = last.padding, list[Stage]()
    for number in reversed(range(coqui.num_upsamples)):
        modules = coqui.resblocks[number * coqui.num_kernels : (number + 1) * coqui.num_kernels]
        up = _upsampling(coqui.ups[number], coqui.num_kernels if number else 1, laid_out)
        blocks = tuple(_block(each, laid_out) for each in modules)
        needed = -(-(needed + max(map(_reach, blocks))) // up.factor) + up.convolution.padding
        stages.insert(0, Stage(up, blocks, needed))
    first = laid_out(_convolution(coqui.conv_pre), coqui.conv_pre)
    return Network(first, tuple(stages), last, needed + first.padding)


def _convolution(module: Any, divisor: int = 1) -> Convolution:
    weight = module.weight.detach() / divisor if divisor != 1 else module.weight.detach()
    bias = None if module.bias is None else module.bias.detach()
    return Convolution(weight, bias, module.padding[0], module.dilation[0])


def _upsampling(module: Any, divisor: int, laid_out: LaidOut) -> Upsampling:
    """Step q x factor + r of the result is the sum over j of input step q - j under tap j x factor + r."""
    from torch.nn.functional import pad

    factor, weight = module.stride[0], module.weight.detach() / divisor  # [in, out, taps]
    taps = -(-weight.shape[2] // factor)
    weight = pad(weight, (0, taps * factor - weight.shape[2])).view(*weight.shape[:2], taps, factor)
    weight = weight.flip(2).permute(3, 1, 0, 2).flatten(0, 1)  # [factor x out, in, taps]
    ordinary = Convolution(weight, module.bias.detach().repeat(factor), taps - 1)
    return Upsampling(laid_out(ordinary, module), factor, module.padding[0])


def _block(module: Any, laid_out: LaidOut) -> Block:
    """Both kinds of coqui's residual blocks: two convolutions a step, or one."""
    chains = zip(module.convs1, module.convs2, strict=True) if hasattr(module, "convs1") else zip(module.convs)
    return tuple(tuple(laid_out(_convolution(each), each) for each in chain) for chain in chains)


def _reach(block: Block) -> int:
    """Steps on each side of a block's input that a step of its result depends on; all keep the length."""
    return sum(convolution.padding for chain in block for convolution in chain)
