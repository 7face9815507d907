import io

import numpy as np
from PIL import Image

from edgeproof.convert import diagnosis_plot
from edgeproof.convert.diagnosis import Diagnosis, Layer

ORANGE = (213, 94, 0)


def layer(operator, blame, sqnr_db=30.0):
    return Layer(
        **{"name": f"layer_{operator} $x$", "operator": operator, "kind": "CONV_2D", "activation": "NONE"},
        **{"weight_range_ratio": 2.0, "sqnr_db": sqnr_db, "own_sqnr_db": sqnr_db, "cosine": 1.0, "own_cosine": 1.0},
        **{"saturated": 0.0, "mean_shift": 0.0, "damage": blame, "answers_changed": 0.0, "top1_lost": 0.0},
        **{"blame": blame, "cause": "none", "sentence": ""},
    )


def diagnosis(*layers):
    shares = {"float_top1": 0.8, "int8_top1": 0.7, "int8_answers_changed": 0.2, "int8_damage": 0.3}
    return Diagnosis(model="a $model$", calibration_images=9, held_out_images=9, layers=layers, **shares)


def pixels(found):
    return np.asarray(Image.open(io.BytesIO(diagnosis_plot.png(found))).convert("RGB")).astype(int)


def orange(found):
    return int((np.abs(pixels(found) - ORANGE).max(axis=2) < 8).sum())


def test_the_plot_is_wide_enough_to_read():
    assert pixels(diagnosis(layer(0, 0.1), layer(1, 0.0))).shape == (682, 1100, 3)


def test_the_worst_layers_are_set_apart_by_colour():
    healthy = diagnosis(*(layer(number, 1e-4) for number in range(10)))
    ill = diagnosis(*(layer(number, 0.3 if number == 4 else 1e-4) for number in range(10)))
    assert orange(healthy) == 0
    assert orange(ill) > 1000


def test_outputs_without_noise_and_layers_without_damage_can_be_drawn():
    found = diagnosis(layer(0, 0.0, sqnr_db=None), layer(1, 0.0), layer(2, 0.5, sqnr_db=None))
    assert pixels(found).std() > 1


def test_the_same_diagnosis_gives_the_same_picture():
    found = diagnosis(layer(0, 0.1), layer(1, 0.0))
    assert diagnosis_plot.png(found) == diagnosis_plot.png(found)


def test_the_plot_is_told_in_words():
    assert "Most blame: layer_1 $x$ 0.300; layer_0 $x$ 0.001." in diagnosis_plot.told(
        diagnosis(layer(0, 0.001), layer(1, 0.3))
    )
