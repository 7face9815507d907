"""The optimiser of a phase: Adam, AdamW or Muon, its rate by step and by layer, and the average of the weights."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import keras

from edgeproof.train.config import Finetune, Head, Optimizer


class _Layerwise:
    """Gives an optimiser of Keras' a learning rate of its own for each variable.

    `rates` are what the learning rates of the trained variables are multiplied with, in their order.
    """

    def __init__(self, *arguments: Any, rates: Sequence[float], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.rates = tuple(rates)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """As Keras calls it for each variable."""
        own: Any = super()
        own.update_step(gradient, variable, learning_rate * self.rates[own._get_variable_index(variable)])


class LayerwiseAdamW(_Layerwise, keras.optimizers.AdamW):  # type: ignore[misc]  # Keras has no types
    """AdamW (Loshchilov and Hutter, arXiv:1711.05101) with a learning rate of its own for each variable."""


class LayerwiseMuon(_Layerwise, keras.optimizers.Muon):  # type: ignore[misc]  # Keras has no types
    """Muon (Jordan et al. 2024, as scaled by Liu et al., arXiv:2502.16982) for the kernels named in `matrices`.

    Its steps are orthogonalised, so that every direction of a kernel learns at the same pace, and as large as AdamW's:
    learning rates of the one do for the other. Keras' own takes two-dimensional kernels alone; here those of
    convolutions are matrices of (height · width · inputs, outputs). Everything else is AdamW's.
    """

    def __init__(self, *arguments: Any, matrices: Collection[str], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.matrices = frozenset(matrices)

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """As Keras calls it for each kernel's step."""
        return self._flat(x, partial(super().zeropower_via_newtonschulz5, steps=steps))

    def lr_adjust(self, x: Any) -> Any:
        """As Keras calls it for what comes of that."""
        return self._flat(x, super().lr_adjust)

    def _should_use_adamw(self, variable: Any) -> bool:
        return variable.path not in self.matrices

    @staticmethod
    def _flat(x: Any, function: Callable[[Any], Any]) -> Any:
        return keras.ops.reshape(function(keras.ops.reshape(x, (-1, x.shape[-1]))), x.shape)


def for_head(settings: Head, model: Any, steps: int) -> Any:
    """The optimiser of phase 1, for so many steps of a model."""
    rate = _rate(settings.learning_rate, settings.schedule, steps, warmup=0.0)
    return _optimizer("adam", rate, settings.weight_decay, model, rates={}, ema=0.0)


def for_finetuning(settings: Finetune, model: Any, steps: int, layers: Sequence[Any] = ()) -> Any:
    """The optimiser of phase 2, for so many steps of a model; `layers` are the base's, from the first to the last."""
    rate = _rate(settings.learning_rate, settings.schedule, steps, warmup=settings.warmup)
    rates = layer_rates(layers, settings.layer_decay)
    return _optimizer(settings.optimizer, rate, settings.weight_decay, model, rates=rates, ema=settings.ema)


def layer_rates(layers: Sequence[Any], decay: float) -> dict[str, float]:
    """What each trained variable's learning rate is multiplied with: `decay` in the first layer, 1 behind the last.

    Evenly in between on a logarithmic scale (Howard and Ruder, arXiv:1801.06146, call it discriminative).
    """
    if decay == 1:
        return {}
    trained = [layer for layer in layers if layer.trainable_weights]
    return {
        variable.path: decay ** (1 - place / len(trained))
        for place, layer in enumerate(trained)
        for variable in layer.trainable_weights
    }


def _rate(top: float, schedule: str, steps: int, *, warmup: float) -> Any:
    if schedule == "constant":
        return top
    first = max(1, round(steps * warmup)) if warmup else 0
    if not first:
        return keras.optimizers.schedules.CosineDecay(top, max(1, steps))
    return keras.optimizers.schedules.CosineDecay(0.0, max(1, steps - first), warmup_target=top, warmup_steps=first)


def _optimizer(
    kind: Optimizer, rate: Any, weight_decay: float, model: Any, *, rates: Mapping[str, float], ema: float
) -> Any:
    averaged = {"use_ema": True, "ema_momentum": ema} if ema else {}
    if kind == "adam" and not weight_decay and not rates:
        return keras.optimizers.Adam(rate, **averaged)
    each = [rates.get(variable.path, 1.0) for variable in model.trainable_variables]
    # Depthwise kernels have few weights and a range to keep; biases and norms are no kernels.
    kernels = [
        layer.kernel
        for layer in model._flatten_layers()  # also those within the layers of `fusion`
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)) and layer.trainable
    ]
    if kind == "muon":
        # Not those of the head, which phase 1 has trained: half of the time of a step's orthogonalisation is theirs.
        convolved = [kernel.path for kernel in kernels if len(kernel.shape) == 4]
        decays = {"weight_decay": weight_decay, "adam_weight_decay": weight_decay}
        made = LayerwiseMuon(rate, **decays, rates=each, matrices=convolved, **averaged)
    else:
        made = LayerwiseAdamW(rate, weight_decay=weight_decay, rates=each, **averaged)
    decayed = {id(kernel) for kernel in kernels}
    made.exclude_from_weight_decay(var_list=[one for one in model.trainable_variables if id(one) not in decayed])
    return made
