"""Networks: scaling, encoder, decoder and head, joined by `build`.

build.py         from a task and settings to a network; its view at the logits for training
encoders/        one file for each family of encoders; decoders/ one file for each decoder
blocks.py        convolution, normalisation, up-sampling: what encoders and decoders are made of
layers.py        layers that Keras does not have
trainer.py       what `compile` returns; saved.py reads models from files
naming.py        names of layers
levels.py        at which resolutions a network holds features
supervision.py   auxiliary heads for training; image_head.py says what a whole image holds
weights.py       files of pretrained weights
cost.py          multiply-adds of a network
"""
