"""Where the files of one model are built: what two choices share, and every file, is made once."""

from __future__ import annotations

from typing import Any

from edgeproof.convert.build import build
from edgeproof.convert.finetuning import Finetuning
from edgeproof.convert.names import layer_names
from edgeproof.convert.preparation import Preparation
from edgeproof.convert.qat import DEFAULT as TRAINING
from edgeproof.convert.qat import qat
from edgeproof.convert.ranges import Estimator
from edgeproof.convert.recipes import INT8_QAT, Choice, Dtype, Steps
from edgeproof.runtime.errors import ConfigError
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Pixels


class Workshop:
    """Builds choices for a Keras model. `pixels` calibrate, shape (n, height, width, 3), uint8.

    `taken` and `given` replace the types that a recipe's file takes and gives by itself. int8-qat needs `train`.
    """

    def __init__(
        self,
        model: Any,
        pixels: Pixels,
        *,
        train: LabelledPictures | None = None,
        training: Finetuning = TRAINING,
        seed: int = 0,
        taken: Dtype | None = None,
        given: Dtype | None = None,
    ) -> None:
        self.model, self.pixels = model, pixels
        self._train, self._training = train, training
        self._seed, self._taken, self._given = seed, taken, given
        self._preparations: dict[tuple[Steps, Estimator], Preparation] = {}
        self._built: dict[Choice, bytes] = {}

    def preparation(self, choice: Choice) -> Preparation:
        """What the files with a choice's repairs and estimator are made from."""
        key = (choice.steps, choice.estimator)
        if key not in self._preparations:
            self._preparations[key] = self._prepared(*key)
        return self._preparations[key]

    def flatbuffer(self, choice: Choice) -> bytes:
        """The choice's flatbuffer, without metadata. Raises `ModelError` when a quantiser cannot."""
        if choice not in self._built and choice.recipe == INT8_QAT:
            self._built[choice] = self._trained()
        if choice not in self._built:
            self._built[choice] = build(
                choice.recipe,
                self.preparation(choice),
                taken=self._taken,
                given=self._given,
                in_float=choice.in_float,
            )
        return self._built[choice]

    def spared(self, choice: Choice) -> tuple[str, ...]:
        """The Keras layers that a choice leaves in float, in the order of the graph."""
        if not choice.in_float:
            return ()
        names = layer_names(self.preparation(choice).graph, self.model)
        return tuple(dict.fromkeys(names[operator] for operator in sorted(choice.in_float)))

    def _trained(self) -> bytes:
        if self._train is None:
            raise ValueError("Expected training pictures for quantisation-aware training.")
        if self._taken not in (None, INT8_QAT.input) or self._given == "int8":
            raise ConfigError("--recipe int8-qat takes uint8 and gives float32 or uint8: leave out --input.")
        integers = self._given == "uint8"
        return qat(
            self.model,
            calibration_pixels=self.pixels,
            train=self._train,
            settings=self._training,
            output="uint8" if integers else "float32",
        )

    def _prepared(self, steps: Steps, estimator: Estimator) -> Preparation:
        if not self._preparations:
            return Preparation(self.model, self.pixels, steps=steps, estimator=estimator, seed=self._seed)

        def in_common(known: tuple[Steps, Estimator]) -> int:
            same_graph = known[0].equalisation == steps.equalisation
            return 2 * same_graph + (same_graph and known[1] == estimator)

        nearest = max(self._preparations, key=in_common)
        return self._preparations[nearest].varied(steps=steps, estimator=estimator)
