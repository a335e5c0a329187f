//! What Docker means: containers, images, networks, volumes, exec, system, events.
