"""`.tflite` files to a report: latency, memory, accuracy. Runs on the device too; never TensorFlow."""
