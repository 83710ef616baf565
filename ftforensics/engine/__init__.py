"""Running shipped models: the Reader protocol, its backends, and the model folder."""
