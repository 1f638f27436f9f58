"""From a PyTorch model to one ONNX graph, and the proof that it ranks alike. Needs torch."""
