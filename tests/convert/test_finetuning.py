import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeproof.convert.finetuning import Adam, Finetuning, correct_norms, finetune

layers = keras.layers


def network(seed):
    keras.utils.set_random_seed(seed)
    picture = keras.Input((16, 16, 3))
    hidden = layers.AveragePooling2D(4)(layers.Rescaling(1 / 127.5, offset=-1)(picture))
    return keras.Model(picture, layers.Dense(10, name="answers")(layers.Flatten()(hidden)))


def same_answers(model, other, pictures):
    pixels = pictures.preprocessing.finished(pictures.stored).astype(np.float32)
    return float((model.predict(pixels, verbose=0).argmax(1) == other.predict(pixels, verbose=0).argmax(1)).mean())


@pytest.mark.parametrize(
    "wrong", [{"steps": -1}, {"batch": 0}, {"shift": -1}, {"learning_rate": 0.0}, {"distillation": 1.5}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="Expected"):
        Finetuning(**wrong)


def test_the_steps_are_those_of_adam_where_the_unit_is_one():
    settings = Finetuning(steps=1000, learning_rate=0.01)
    ours, theirs = tf.Variable([1.0, -2.0], name="ours"), keras.Variable([1.0, -2.0])
    optimizer = Adam([ours], {}, settings)
    reference = keras.optimizers.Adam(0.01, epsilon=1e-8)
    optimizer.iterations.assign(200)  # past the rise, where the bias corrections are nearly one
    reference.build([theirs])
    reference.iterations.assign(200)
    gradients = [tf.constant([0.5, -3.0]), tf.constant([0.7, 1.0])]
    cosine = (1 + np.cos(0.2 * np.pi)) / 2
    for gradient in gradients:
        optimizer.apply([gradient])
        reference.apply([gradient], [theirs])
    moved, expected = ours.numpy() - [1, -2], np.asarray(theirs) - [1, -2]
    np.testing.assert_allclose(moved, expected * cosine, rtol=5e-3)


def test_a_step_is_as_large_as_its_unit_and_zero_keeps_a_weight():
    variable = tf.Variable([[1.0, 1.0, 1.0]], name="kernel")
    optimizer = Adam([variable], {variable.name: np.array([[1.0, 10.0, 0.0]])}, Finetuning(steps=20))
    optimizer.apply([tf.ones((1, 3))])
    moved = 1 - variable.numpy()[0]
    assert moved[2] == 0
    assert moved[1] == pytest.approx(10 * moved[0], rel=1e-2)
    assert moved[0] > 0


def test_the_learning_rate_rises_and_falls_to_nothing():
    variable = tf.Variable(0.0, name="weight")
    optimizer, places = Adam([variable], {}, Finetuning(steps=40, learning_rate=1.0)), [0.0]
    for _ in range(40):
        optimizer.apply([tf.constant(1.0)])
        places.append(float(variable))
    moves = np.abs(np.diff(places))
    assert moves[0] == pytest.approx(0.5, rel=0.01)
    assert moves[1] == pytest.approx(1.0, rel=0.02)
    assert moves[-1] < 0.01
    assert (np.diff(moves[1:]) < 0).all()


def test_a_variable_without_a_gradient_stays():
    variable = tf.Variable(3.0, name="weight")
    Adam([variable], {}, Finetuning()).apply([None])
    assert float(variable) == 3.0


def test_a_student_learns_to_answer_like_its_teacher(digits):
    teacher, student = network(1), network(2)
    before = same_answers(student, teacher, digits[1])
    told = []
    settings = Finetuning(steps=60, batch=32, learning_rate=0.05, shift=0, flip=False)
    finetune(student, teacher, digits[0], settings, report=lambda *words: told.append(words))
    assert before < 0.5 < 0.7 < same_answers(student, teacher, digits[1])
    assert [done for done, _ in told] == [10, 20, 30, 40, 50, 60]
    assert told[-1][1].startswith("same answers ")


def test_labels_are_learned_where_there_is_no_distillation(digits):
    student, pictures = network(2), digits[1]
    settings = Finetuning(steps=60, batch=32, learning_rate=0.05, distillation=0.0, shift=0, flip=False)
    finetune(student, network(1), digits[0], settings, report=lambda *words: None)
    pixels = pictures.preprocessing.finished(pictures.stored).astype(np.float32)
    assert (student.predict(pixels, verbose=0).argmax(1) == pictures.classes).mean() > 0.7


def test_the_same_seed_gives_the_same_weights(digits):
    found = []
    for seed in (0, 0, 1):
        student = network(2)
        settings = Finetuning(steps=5, batch=16, learning_rate=0.01, seed=seed)
        finetune(student, network(1), digits[0], settings, report=lambda *words: None)
        found.append(student.get_weights()[0])
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_batch_norm_follows_what_a_changed_kernel_does_to_its_inputs(digits):
    def network_of(kernel):
        picture = keras.Input((16, 16, 3))
        convolution = layers.Conv2D(2, 1, name="conv")
        hidden = layers.BatchNormalization(name="norm")(convolution(layers.Rescaling(1 / 255)(picture)))
        model = keras.Model(picture, layers.GlobalAveragePooling2D()(hidden))
        convolution.set_weights([kernel, np.array([1.0, -1])])
        model.get_layer("norm").set_weights(list(np.array([[1.0, 2], [0.5, 0], [0.3, -0.2], [0.4, 0.8]])))
        return model

    kernel = np.random.default_rng(0).normal(size=(1, 1, 3, 2))
    model, original, pictures = network_of(3 * kernel), network_of(kernel), digits[0].take(range(256))
    pixels = pictures.preprocessing.finished(pictures.stored).astype(np.float32)
    taken = keras.Model(original.inputs[0], original.get_layer("conv").output).predict(pixels, verbose=0)
    correct_norms(model, original, pictures)
    norm = model.get_layer("norm")
    moved = 2 * (taken - [1.0, -1]).mean(axis=(0, 1, 2))  # three times as much, but for the bias
    np.testing.assert_allclose(norm.moving_mean, np.array([0.3, -0.2]) + moved, atol=1e-3)
    np.testing.assert_allclose(norm.moving_variance, [9 * 0.4, 9 * 0.8], rtol=1e-3)
    np.testing.assert_allclose(norm.gamma, [1, 2])
    assert not norm.trainable_weights


def test_batch_norm_stays_where_no_kernel_changed(digits):
    picture = keras.Input((16, 16, 3))
    model = keras.Model(picture, layers.Flatten()(layers.BatchNormalization(name="norm")(picture)))
    correct_norms(model, keras.models.clone_model(model), digits[0].take(range(100)))
    np.testing.assert_allclose(model.get_layer("norm").moving_mean, 0, atol=1e-4)
    np.testing.assert_allclose(model.get_layer("norm").moving_variance, 1, rtol=1e-4)
