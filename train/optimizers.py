"""The optimiser of a phase: Adam or AdamW, its learning rate by step and by layer, and the average of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from edgeproof.train.config import Finetune, Head

# No decay for what is not a kernel, nor for depthwise kernels: they have few weights and a range to keep.
_NOT_DECAYED = ("bias", "gamma", "beta", "depthwise")


class LayerwiseAdamW(keras.optimizers.AdamW):  # type: ignore[misc]  # Keras has no types
    """AdamW (Loshchilov and Hutter, arXiv:1711.05101) with a learning rate of its own for each variable.

    `rates` maps a variable's path to what its learning rate is multiplied with, 1 where it is missing.
    """

    def __init__(self, *arguments: Any, rates: Mapping[str, float], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.rates = dict(rates)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """As Keras calls it for each variable."""
        super().update_step(gradient, variable, learning_rate * self.rates.get(variable.path, 1.0))


def for_head(settings: Head, steps: int) -> Any:
    """The optimiser of phase 1, for so many steps."""
    return _optimizer(
        _rate(settings.learning_rate, settings.schedule, steps, warmup=0.0), settings.weight_decay, rates={}, ema=0.0
    )


def for_finetuning(settings: Finetune, steps: int, layers: Sequence[Any] = ()) -> Any:
    """The optimiser of phase 2, for so many steps; `layers` are those of the base, from the first to the last."""
    return _optimizer(
        _rate(settings.learning_rate, settings.schedule, steps, warmup=settings.warmup),
        settings.weight_decay,
        rates=layer_rates(layers, settings.layer_decay),
        ema=settings.ema,
    )


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


def _optimizer(rate: Any, weight_decay: float, *, rates: Mapping[str, float], ema: float) -> Any:
    averaged = {"use_ema": True, "ema_momentum": ema} if ema else {}
    if not weight_decay and not rates:
        return keras.optimizers.Adam(rate, **averaged)
    made = LayerwiseAdamW(rate, weight_decay=weight_decay, rates=rates, **averaged)
    made.exclude_from_weight_decay(var_names=list(_NOT_DECAYED))
    return made
