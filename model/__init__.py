"""What is learned: click logs and how they are split, the encoder and its training, evaluation and baselines.

`data` and `evaluate` need numpy and pyarrow only; `nets` and `learn` need torch. Nothing here imports the stream side.
"""
