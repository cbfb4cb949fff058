"""Training, from a config to a scored run folder.

train.py             `train`: the whole training as one story
data.py              the data, checked and measured
network.py           the network, compiled
fit.py               fits it, from wherever the last checkpoint stands
callbacks.py         callbacks that Keras does not have; progress.py reports steps and epochs
best_epoch.py        what the best epoch is chosen by
step_counter.py      where a training stands; checkpointing.py saves and restores its state
optimizer.py         optimizers and schedules; ema.py averages weights
precision.py         float32 or bfloat16; devices.py chooses devices
mirrored.py          several devices on TensorFlow
process.py           one of several processes; distributed.py joins them on JAX
folds.py             `cross_validate`
lr_range_test.py     `find_learning_rate`; lr_losses.py makes the steps, lr_suggestion.py reads the curve
"""
