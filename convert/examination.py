"""The examination of a Keras model before it is quantised: its diagnosis on training pictures."""

from __future__ import annotations

from edgeproof.convert.calibration import CalibrationSet
from edgeproof.convert.diagnosis import Diagnosis, diagnose
from edgeproof.convert.inputs import Inputs
from edgeproof.convert.names import layer_names
from edgeproof.convert.preparation import Preparation
from edgeproof.convert.ranges import Estimator
from edgeproof.convert.recipes import Steps
from edgeproof.convert.sensitivity import HeldOut
from edgeproof.runtime.errors import DataError
from edgeproof.train.split import balanced_sample

# Pictures on which each layer is tried alone: more say little more about which is worst, and take longer.
HELD_OUT = 256
LEAST = 20
PLAIN = Steps(head=False, equalisation=False, bias=False, rounding=False)


def examine(
    given: Inputs, sample: CalibrationSet, *, estimator: Estimator = "min-max", images: int = HELD_OUT, seed: int = 0
) -> Diagnosis:
    """Diagnose plain int8 of a model, with ranges from the sample, on `images` other training pictures.

    Raises `DataError` when too few are left that neither calibrate nor test, and `ModelError` when the model cannot
    be exported or quantised.
    """
    plain = Preparation(given.reference.model, sample.pixels(), steps=PLAIN, estimator=estimator, seed=seed)
    held_out = hold_out(given, sample, images=images, seed=seed)
    return diagnose(
        plain.graph,
        plain.pixels,
        names=layer_names(plain.graph, given.reference.model),
        ranges=plain.ranges(),
        held_out=held_out,
        model=given.reference.name,
    )


def hold_out(given: Inputs, sample: CalibrationSet, *, images: int = HELD_OUT, seed: int = 0) -> HeldOut:
    """A class-balanced sample of training pictures that are not the calibration's, nor the test set's.

    Raises `DataError` when fewer than 20 are left.
    """
    known = {*sample.pictures.hashes, *given.evidence.test.hashes}
    passed = [number for number, each in enumerate(given.train.hashes) if each in known]
    left = len(given.train) - len(passed)
    if left < LEAST:
        raise DataError(
            f"{left} training pictures are left to try layers on; it takes {LEAST} that do not calibrate. Give fewer "
            "--calibration-images, or more pictures."
        )
    chosen = given.train.take(balanced_sample(given.train.classes, images, seed, without=passed))
    return HeldOut(chosen.preprocessing.finished(chosen.stored[:]), chosen.classes)
