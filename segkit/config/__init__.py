"""A run's settings: sections with defaults, which are checked before anything slow is imported.

config.py     `Config`, which holds all sections; `RunConfig`, which also knows the training images
data.py       section `data`: sources, reading of masks, parts
groups.py     groups of samples, in the section `data`
data_sets.py  several data sets in one training, in the section `data`
image_parts.py  planes of stacks and levels of slides, in the section `data`
partial_labels.py  labels that say less than one class per pixel, in the section `data`
soft_labels.py  masks of several annotators and of probabilities, in the section `data`
sets.py       sets of classes that the section `data` needs (mask_meanings.py: types of settings)
vector.py     section `data.vector`: the vector labels of maps
augment.py    section `augment`
model.py      section `model`
networks.py   facts about each encoder that are needed before Keras is loaded
loss.py       section `loss`
train.py      section `train`
decode.py     section `decode`: temperature and rules for objects
label_files.py  files of labelling tools, in the section `data`
section.py    the base class of sections, and types that several sections use
trust.py      Python code that a config names, which is imported only if it is trusted
reading.py    YAML files and overrides such as "train.epochs=5"
comments.py   comments on the settings in a YAML file, such as the reasons of a plan
arguments.py  public functions refuse unknown arguments
"""

from segkit.config.augment import AugmentConfig
from segkit.config.config import Config, InputConfig, MaskFilesConfig, PredictConfig, RunConfig
from segkit.config.data import DataConfig, PartConfig
from segkit.config.decode import DecodeConfig
from segkit.config.groups import GroupsConfig
from segkit.config.model import ModelConfig
from segkit.config.reading import ConfigLike, as_config, changed, read, read_made
from segkit.config.train import TrainConfig
from segkit.config.vector import VectorConfig

__all__ = [
    "AugmentConfig",
    "Config",
    "ConfigLike",
    "DataConfig",
    "DecodeConfig",
    "GroupsConfig",
    "InputConfig",
    "MaskFilesConfig",
    "ModelConfig",
    "PartConfig",
    "PredictConfig",
    "RunConfig",
    "TrainConfig",
    "VectorConfig",
    "as_config",
    "changed",
    "read",
    "read_made",
]
