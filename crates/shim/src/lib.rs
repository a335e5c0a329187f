//! One small process per container: supervision, standard streams, logs.
