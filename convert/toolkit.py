"""The child process of `process.py`: TensorFlow's model optimisation toolkit on a twin, in Keras 2.

`python -m edgeproof.convert.toolkit FOLDER`. No other module may import this one, or what it imports: that would
turn the Keras of its process into Keras 2.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from edgeproof.convert import emulation, process, twin
from edgeproof.convert.balancing import balanced
from edgeproof.convert.emulation import Range
from edgeproof.convert.fake_quantisation import AXES, converted, rounded, rounded_kernel, trained, units
from edgeproof.convert.finetuning import correct_norms, finetune
from edgeproof.convert.lowering import lowered, without_softmax
from edgeproof.convert.process import Job, Progress
from edgeproof.convert.twin import Layer, Twin
from edgeproof.runtime.errors import EdgeproofError

KERNELS = {"Conv2D": "kernel", "DepthwiseConv2D": "depthwise_kernel", "Dense": "kernel"}
# Smaller kernels are neither pruned nor clustered: that would cost accuracy and save nothing.
LEAST_WEIGHTS = 1024


class Rounding(tfmot.quantization.keras.quantizers.Quantizer):  # type: ignore[misc]  # the toolkit has no types
    """Rounds a kernel over `axes`, or an activation to `bounds`, which were found before the training and stay.

    The toolkit's own takes a depthwise kernel as a whole, and moves the bounds while it trains.
    """

    def __init__(self, axes: list[int], bounds: list[float]) -> None:
        self.axes, self.bounds = list(axes), list(bounds)

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Nothing is to be kept."""
        return {}

    def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
        """The rounded values."""
        if self.axes:
            return rounded_kernel(inputs, tuple(self.axes))
        return rounded(inputs, (self.bounds[0], self.bounds[1]))

    def get_config(self) -> dict[str, Any]:
        """What makes an equal one."""
        return {"axes": self.axes, "bounds": self.bounds}


class Placed(tfmot.quantization.keras.QuantizeConfig):  # type: ignore[misc]  # nor here
    """What of one layer is rounded: its kernel over some axes, its output to a range, both or neither."""

    def __init__(self, kernel: str, axes: list[int], output: list[float] | None) -> None:
        self.kernel, self.axes, self.output = kernel, axes, output

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        """The kernel, where it is rounded."""
        return [(getattr(layer, self.kernel), Rounding(self.axes, []))] if self.kernel else []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Compute with the rounded kernel."""
        for weights in quantize_weights:
            setattr(layer, self.kernel, weights)

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """Nothing: activations are layers of their own."""
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """Nothing: activations are layers of their own."""
        return

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """The rounding of the output, where there is one."""
        return [Rounding([], self.output)] if self.output is not None else []

    def get_config(self) -> dict[str, Any]:
        """What makes an equal one."""
        return {"kernel": self.kernel, "axes": self.axes, "output": self.output}


class AsAnnotated(
    tfmot.quantization.keras.QuantizeScheme,  # type: ignore[misc]  # tfmot has no types
    tfmot.quantization.keras.QuantizeLayoutTransform,  # type: ignore[misc]  # tfmot has no types
    tfmot.quantization.keras.QuantizeRegistry,  # type: ignore[misc]  # tfmot has no types
):
    """Leaves every layer and its annotation as they are.

    The toolkit's own scheme takes the rounding of a kernel away where a ReLU follows as a layer of its own.
    """

    def get_layout_transformer(self) -> Any:
        """Itself."""
        return self

    def get_quantize_registry(self) -> Any:
        """Itself."""
        return self

    def apply(self, model: Any, layer_quantize_map: Any) -> tuple[Any, Any]:
        """The model and the annotations as they are."""
        return model, layer_quantize_map

    def supports(self, layer: Any) -> bool:
        """No layer without an annotation."""
        return False

    def get_quantize_config(self, layer: Any) -> Any:
        """Not to be asked, since no layer is supported."""
        raise ValueError(f"Expected an annotation of '{layer.name}'.")


def emulated(given: Twin, ranges: Mapping[str, Range]) -> Any:
    """A lowered twin as the toolkit's quantisation-aware model; its rounded outputs have these ranges."""

    def annotated(layer: Any) -> Any:
        kind, output = type(layer).__name__, ranges.get(layer.name)
        config = Placed(KERNELS.get(kind, ""), list(AXES.get(kind, ())), list(output) if output else None)
        return tfmot.quantization.keras.quantize_annotate_layer(layer, config)

    plain = twin.build(given, tf_keras)
    with tf_keras.utils.custom_object_scope({"Placed": Placed}):
        model = tf_keras.models.clone_model(plain, clone_function=annotated)
        model.set_weights(plain.get_weights())
        return tfmot.quantization.keras.quantize_apply(model, scheme=AsAnnotated(), quantized_layer_name_prefix="")


def quantise(folder: Path, job: Job) -> bytes:
    """The flatbuffer of quantisation-aware training on the twin in a folder, which gives what `converted` says."""
    exact = without_softmax(lowered(_checked(folder)))
    pixels = np.load(folder / process.CALIBRATION)
    start = balanced(exact, pixels, tf_keras)
    ranges = emulation.ranges(start, pixels, tf_keras)
    # Logits that stay float are not rounded; the converter still has to be told a range.
    last = start.layers[-1]
    stays_float = job.output == "float32" and last.kind == "Dense"
    felt = {name: found for name, found in ranges.items() if name != last.name or not stays_float}
    student = emulated(start, felt)
    _finetune(student, twin.build(exact, tf_keras), folder, job, units=units(student, start, ranges))
    final = trained(student, start)
    if job.output == "uint8":
        final = Twin((*final.layers, Layer("softmax", "Softmax", (last.name,))))
    return converted(final, ranges, tf_keras)


def prune(folder: Path, job: Job) -> bytes:
    """The weights of the twin's layers, as an npz file, after the smallest of each kernel were taken away."""
    once = tfmot.sparsity.keras.ConstantSparsity(job.sparsity, begin_step=0, end_step=1, frequency=1)
    given = without_softmax(_checked(folder))
    student = _wrapped(given, lambda layer: tfmot.sparsity.keras.prune_low_magnitude(layer, once))
    pruned = [layer for layer in student.layers if hasattr(layer, "pruning_step")]
    for layer in pruned:
        layer.pruning_step.assign(0)
    correct_norms(student, twin.build(given, tf_keras), process.read_pictures(folder, job))
    for layer in pruned:
        layer.pruning_step.assign(2)  # the choice of weights stays
    _finetune(student, twin.build(given, tf_keras), folder, job)
    for layer in pruned:
        layer.pruning_obj.weight_mask_op()
    return _weights(tfmot.sparsity.keras.strip_pruning(student))


def cluster(folder: Path, job: Job) -> bytes:
    """The weights of the twin's layers, as an npz file, after each kernel's came to share a few values."""
    given = without_softmax(_checked(folder))
    clustering = tfmot.clustering.keras
    start = clustering.CentroidInitialization.KMEANS_PLUS_PLUS
    student = _wrapped(given, lambda layer: clustering.cluster_weights(layer, job.clusters, start))
    correct_norms(student, twin.build(given, tf_keras), process.read_pictures(folder, job))
    _finetune(student, twin.build(given, tf_keras), folder, job)
    return _weights(clustering.strip_clustering(student))


def _wrapped(given: Twin, wrap: Callable[[Any], Any]) -> Any:
    """The twin with its large convolutions and dense layers wrapped."""

    def chosen(layer: Any) -> Any:
        large = type(layer).__name__ in ("Conv2D", "Dense") and np.prod(layer.kernel.shape) >= LEAST_WEIGHTS
        return wrap(layer) if large else layer

    return tf_keras.models.clone_model(twin.build(given, tf_keras), clone_function=chosen)


def _weights(model: Any) -> bytes:
    """The weights of every layer, as an npz file with the names "layer/number"."""
    arrays = {f"{layer.name}/{n}": array for layer in model.layers for n, array in enumerate(layer.get_weights())}
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def _finetune(student: Any, teacher: Any, folder: Path, job: Job, **options: Any) -> None:
    if job.settings.steps:
        pictures = process.read_pictures(folder, job)
        finetune(student, teacher, pictures, job.settings, report=_report, **options)


def _checked(folder: Path) -> Twin:
    """The twin in a folder, after its outputs were held against the Keras model's."""
    given = twin.read(folder)
    with np.load(folder / process.PROBE) as probe:
        twin.check(twin.build(given, tf_keras), probe["pixels"], probe["outputs"])
    return given


def _report(done: int, note: str) -> None:
    _say(Progress(done=done, note=note))


def _say(progress: Progress) -> None:
    sys.stdout.write(msgspec.json.encode(progress).decode() + "\n")
    sys.stdout.flush()


TASKS = {"quantise": quantise, "prune": prune, "cluster": cluster}


def main(folder: Path) -> int:
    """Do the job in a folder and leave its result there; 1 for a model that cannot be done."""
    job = msgspec.json.decode((folder / process.JOB).read_bytes(), type=Job)
    tf_keras.utils.set_random_seed(job.settings.seed)
    tf.config.experimental.enable_op_determinism()
    try:
        result = TASKS[job.task](folder, job)
    except EdgeproofError as error:
        _say(Progress(error=str(error)))
        return 1
    (folder / process.RESULT).write_bytes(result)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
