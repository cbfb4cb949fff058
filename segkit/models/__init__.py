"""Networks: scaling, encoder, decoder and head, joined by `build`.

build.py         builds a network for a task; compiles its view at the logits for training
head.py          the head of a network; `logits_of`
encoders/        one file per family of encoders; decoders/ one file per decoder
blocks.py        convolution, normalisation, up-sampling: the parts of encoders and decoders
layers.py        layers that Keras does not have
trainer.py       the model that `compile` returns; saved.py loads models from files
unlabelled.py    a trainer that also learns from pixels without a label
naming.py        names of layers
levels.py        finds the resolutions of a network's features
supervision.py   auxiliary heads for training; image_head.py predicts the classes of an image
weights.py       files of pretrained weights
cost.py          counts the multiply-adds of a network
"""
