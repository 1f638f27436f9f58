"""What is learned: click logs and how they are split, the encoder and its training, evaluation and baselines.

The data side (`readers`, `log`, `split`, `metrics`, `evaluate`, `baselines`) needs numpy and pyarrow only; the training
side needs torch. Nothing here imports the stream side.
"""
