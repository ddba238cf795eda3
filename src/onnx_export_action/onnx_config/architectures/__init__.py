"""The configuration classes, one short class for a model type, by kind of model."""
