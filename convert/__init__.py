"""A Keras model to verified .tflite files: recipes, calibration, export, verification."""
