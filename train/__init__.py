"""Labelled images to a Keras model: data, model, two phases, evaluation, plots."""
