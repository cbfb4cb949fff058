"""Training: from a config to a scored run folder.

train.py             `train`: the whole training as one story
data.py              opens, checks and measures the data
network.py           builds and compiles the network
fit.py               fits the network, starting at the last checkpoint
feeding.py           hands the batches to Keras
callbacks.py         callbacks that Keras does not have; progress.py reports steps and epochs
curves.py            curves.png: losses and scores of each epoch; model_card.py writes README.md
tracking.py          sends the training to an experiment tracker; trackers.py knows each of them
best_epoch.py        chooses the best epoch
step_counter.py      counts epochs and steps; checkpointing.py saves and restores the training state
optimizer.py         optimizers and learning-rate schedules; ema.py averages weights
precision.py         chooses float32 or bfloat16; devices.py chooses devices
mirrored.py          trains on several devices with TensorFlow
process.py           describes one of several processes; distributed.py joins them with JAX
folds.py             `cross_validate`
on_all.py            finds the folds that score a training on all samples
lr_range_test.py     `find_learning_rate`; lr_losses.py measures losses, lr_suggestion.py reads them
"""
